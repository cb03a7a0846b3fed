package admin

import (
	"time"

	"sluice/proxy/status"
)

// secretMetrics are of the certificates that one chain or cluster uses.
var secretMetrics = []metric[float64]{
	{
		name: "sluice_certificate_not_after_timestamp_seconds", kind: gauge,
		help: "When the first certificate of this use expires, in Unix time; type says whether it is shown (certificate) or verifies others (ca). Renew it before: sluice proxy-config secret shows file and serial number.",
		read: func(notAfter float64, to *series) { to.add(notAfter) },
	},
}

// secretKey is a use of certificates. However many certificates it has, and
// however often they are renewed, it is one series.
type secretKey struct{ name, kind string }

// earliestEnds gives for each use when the first of its certificates expires, in
// Unix time. The uses are in the order in which they came.
func earliestEnds(secrets []status.Secret) []object[float64] {
	var list []object[float64]
	places := make(map[secretKey]int)
	for i := range secrets {
		s := &secrets[i]
		key := secretKey{s.Name, "certificate"}
		if s.Type == "CA" {
			key.kind = "ca"
		}
		end := unixSeconds(s.NotAfter)
		place, known := places[key]
		if !known {
			place, places[key] = len(list), len(list)
			list = append(list, object[float64]{labels("secret", key.name, "type", key.kind), end})
		}
		list[place].of = min(list[place].of, end)
	}
	return list
}

func unixSeconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

func oneIf(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

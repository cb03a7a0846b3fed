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
// Unix time.
func earliestEnds(secrets []status.Secret) map[secretKey]float64 {
	ends := make(map[secretKey]float64)
	for i := range secrets {
		s := &secrets[i]
		key := secretKey{s.Name, "certificate"}
		if s.Type == "CA" {
			key.kind = "ca"
		}
		end := unixSeconds(s.NotAfter)
		if known, ok := ends[key]; !ok || end < known {
			ends[key] = end
		}
	}
	return ends
}

func unixSeconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

func oneIf(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

package clienthello_test

import (
	"strings"
	"testing"

	"sluice/tlsutil/clienthello"
)

func TestCheckJA4(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		got := ""
		if err := clienthello.CheckJA4(text); err != nil {
			got = err.Error()
		}
		if (want == "") != (got == "") || !strings.Contains(got, want) {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	for _, v := range published {
		f(v.want, "")
	}
	for _, c := range corpus {
		f(c.ja4, "")
	}
	f("t00i000000_000000000000_000000000000", "")
	f("ts3i0999Zz_000000000000_000000000000", "")
	f("", "is empty")
	f("t13d1516h2_8daaf6152771_*", "compared whole")
	f("t13d*", "compared whole")
	f("q13d0312h3_55b375c5d22e_06cda9e17597", "QUIC")
	f("dd2i0808ww_ee99dea6fdf9_e8a3b13ce0ad", "DTLS")
	f("t13d1516h2_8DAAF6152771_E5627EFA2AB1", `write "t13d1516h2_8daaf6152771_e5627efa2ab1"`)
	f("e7d705a3286e19ea42f587b344ee6865", "JA3")
	f("E7D705A3286E19EA42F587B344EE6865", "JA3")
	f("771,4865-4866-4867,45-51-16,4588-29-23-24,0", "JA3 before it is hashed")
	f("t13d1516h2_002f,0035_0005,000a_0403", "raw form")
	f("t13d1516h2", "part of a fingerprint")
	f("t13d1516h2_8daaf6152771", "part of a fingerprint")
	f("t130200_1301_234ea6891581", "JA4S")
	f("2166164053c1_2166164053c1_30d204a01551", "JA4X")
	f("ge11cn20enus_60a6f3c2dbd9_ac95b44401d9_a4d4ea8f8c2b", "JA4H")
	f("64240_2-1-3-1-1-4_1460_8", "JA4T")
	f("t13d1516h2_8daaf6152771_e5627efa2ab1 ", "no JA4 fingerprint")
	f("t14d1516h2_8daaf6152771_e5627efa2ab1", "no JA4 fingerprint")
	f("t13x1516h2_8daaf6152771_e5627efa2ab1", "no JA4 fingerprint")
	f("t13d15x6h2_8daaf6152771_e5627efa2ab1", "no JA4 fingerprint")
	f("t13d1516h-_8daaf6152771_e5627efa2ab1", "no JA4 fingerprint")
	f("t13d1516h2_8daaf615277g_e5627efa2ab1", "no JA4 fingerprint")
	f("t13d1516h2_8daaf6152771_e5627efa2ab1_", "no JA4 fingerprint")
	f("_", "no JA4 fingerprint")
	f("chrome", "no JA4 fingerprint")
}

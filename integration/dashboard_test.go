package integration

import (
	"crypto/tls"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice/proxy/admin/ui/uitest"
	"sluice/tlsutil/certgen"
)

// dashboard opens the page of a gateway with two names, and gives what connects
// to one of them and what the page is.
func dashboard(t *testing.T) (connect func(name string) *tls.Conn, page *uitest.Page) {
	t.Helper()
	needTool(t, uitest.Program)
	backends := newAuthority(t, "backends")
	pair := backends.pair(certgen.Options{Names: []string{"shop.test", "*.mail.test"}})
	backend := func() string { return tlsBackend(t, &tls.Config{Certificates: []tls.Certificate{pair}}, echo) }
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte(adminToken), 0o600); err != nil {
		t.Fatal(err)
	}
	p := startSluice(t, fmt.Sprintf(`
admin {
  address    = "127.0.0.1:0"
  token_file = %q
}
listener "edge" {
  address = "127.0.0.1:0"
  filter_chain "shop" {
    match { server_names = ["shop.test"] }
    route { cluster = "shop" }
  }
  filter_chain "mail" {
    match { server_names = ["mail.test", "*.mail.test"] }
    route { cluster = "mail" }
  }
}
cluster "shop" {
  endpoint %q { name = "shop-1" }
}
cluster "mail" {
  endpoint %q { name = "mail-1" }
}
`, token, backend(), backend()), withAdmin())
	connect = func(name string) *tls.Conn { return handshake(t, dial(t, p.address("edge")), name, backends) }
	browser, err := uitest.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(browser.Close)
	return connect, browser.Open(t, administer(t, p, "").base+"/", uitest.Look{})
}

// TestDashboard looks at the real gateway in a browser: the picture has its
// objects and each connection, and a kill ends the one that it is for.
func TestDashboard(t *testing.T) {
	t.Parallel()
	connect, page := dashboard(t)
	for kind, want := range map[string][]string{
		"listener": {"edge"}, "chain": {"shop", "mail"}, "cluster": {"shop", "mail"}, "endpoint": {"shop-1", "mail-1"},
	} {
		if d := cmp.Diff(want, page.Boxes(kind)); d != "" {
			t.Errorf("boxes of kind %s (-want +got):\n%s", kind, d)
		}
	}

	doomed, other := connect("shop.test"), connect("shop.test")
	exchange(t, doomed, "one")
	exchange(t, other, "another")
	page.AwaitValue("endpoint", "shop-1", "2")
	page.AwaitValue("chain", "mail", "0")

	page.Login(adminToken)
	source := strconv.Quote(doomed.LocalAddr().String())
	row := fmt.Sprintf(`[...document.querySelectorAll('#connections tbody tr')].find(r => r.children[1].textContent === %s)`, source)
	page.Await(row + ` !== undefined`)
	id, err := strconv.ParseUint(uitest.Eval[string](page, row+`.dataset.id`), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	if said := page.Kill(id); !strings.Contains(said, "killed") {
		t.Errorf("the page says %q", said)
	}
	expectEnd(t, doomed.NetConn(), rst)
	page.AwaitValue("endpoint", "shop-1", "1")
	page.AwaitRow(id, false)
	exchange(t, other, "still here")
	page.CheckQuiet()
}

// TestDashboardExplains: the way that is lit is the one that a connection goes.
func TestDashboardExplains(t *testing.T) {
	t.Parallel()
	connect, page := dashboard(t)
	if got, want := page.Explain("x.mail.test"), "x.mail.test goes by filter chain mail to cluster mail"; got != want {
		t.Errorf("the page explains %q, want %q", got, want)
	}
	page.Await(`document.querySelectorAll('.box.lit').length === 4`)
	if d := cmp.Diff([]string{"edge", "mail", "mail", "mail-1"}, page.Lit()); d != "" {
		t.Errorf("the way that is lit (-want +got):\n%s", d)
	}
	exchange(t, connect("x.mail.test"), "the way that was lit")
	page.AwaitValue("endpoint", "mail-1", "1")
	page.AwaitValue("endpoint", "shop-1", "0")
	page.CheckQuiet()
}

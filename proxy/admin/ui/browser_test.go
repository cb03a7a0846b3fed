package ui_test

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/chromedp/chromedp/kb"
	"github.com/google/go-cmp/cmp"

	"sluice/proxy/admin/ui/uitest"
	"sluice/proxy/status"
)

// open opens the page of a made-up gateway.
func open(t *testing.T, build func(f *fake), look uitest.Look) (*fake, *uitest.Page) {
	t.Helper()
	b := needBrowser(t)
	f := newFake(t, build)
	return f, b.Open(t, f.URL+"/", look)
}

// TestPictureShowsObjects: every object has its box, in its column, with its
// state in words, also when nothing flows.
func TestPictureShowsObjects(t *testing.T) {
	t.Parallel()
	_, p := open(t, smallShop, uitest.Look{})
	for kind, want := range map[string][]string{
		"listener": {"https"},
		"chain":    {"www", "api", "rest"},
		"cluster":  {"web", "api", "api-canary", "unused"},
		"endpoint": {"web-1", "web-2", "api-1", "api-2", "api-3", "canary", "old"},
	} {
		if d := cmp.Diff(want, p.Boxes(kind)); d != "" {
			t.Errorf("boxes of kind %s (-want +got):\n%s", kind, d)
		}
	}
	for name, want := range map[string]string{
		"web-1": "healthy", "web-2": "unhealthy", "api-2": "ejected", "api-3": "drain", "canary": "unchecked", "old": "maint",
	} {
		if got := p.Text(uitest.Box("endpoint", name) + " .box-sub"); !strings.HasPrefix(got, want+" ") {
			t.Errorf("the box of %s says %q, want %q first", name, got, want)
		}
	}
	// 3 to the chains, 4 to clusters, 7 to endpoints.
	if n := uitest.Eval[int](p, `[...document.querySelectorAll('.ribbon')].filter(r => r.getBBox().width > 10 && r.getBBox().height > 0).length`); n != 14 {
		t.Errorf("%d flows are drawn, want 14", n)
	}
	if got := p.Text("#state"); !strings.Contains(got, "running · ready") {
		t.Errorf("the header says %q", got)
	}
	p.CheckQuiet()
}

// TestPictureUpdates: a connection shows in each box on its way, and in the
// table, without anything being asked.
func TestPictureUpdates(t *testing.T) {
	t.Parallel()
	f, p := open(t, smallShop, uitest.Look{})
	p.AwaitValue("chain", "www", "0")
	id := f.open(f.ways[0], status.Connection{})
	for _, box := range [][2]string{{"listener", "https"}, {"chain", "www"}, {"cluster", "web"}, {"endpoint", "web-1"}} {
		p.AwaitValue(box[0], box[1], "1")
	}
	p.AwaitValue("chain", "api", "0")
	p.AwaitRow(id, true)
	f.open(f.ways[0], status.Connection{})
	p.AwaitValue("endpoint", "web-1", "2")
	p.CheckQuiet()
}

// TestThroughput: the other switch shows what flows, as differences of counters.
func TestThroughput(t *testing.T) {
	t.Parallel()
	f, p := open(t, smallShop, uitest.Look{})
	f.open(f.ways[0], status.Connection{})
	p.AwaitValue("chain", "www", "1")
	p.Click(`.switch label:nth-of-type(2)`)
	p.AwaitValue("chain", "www", "0 B/s")
	ribbons := func() []float64 {
		return uitest.Eval[[]float64](p, `[...document.querySelectorAll('.ribbon')].filter(r => !r.classList.contains('quiet')).map(r => r.getBBox().height)`)
	}
	if wide := ribbons(); len(wide) != 0 {
		t.Errorf("%d flows although nothing flows", len(wide))
	}
	f.change(func() { f.connections[0].BytesSent += 100 << 20 })
	p.Await(`/ [MG]iB.s$/.test(document.querySelector('.box[data-name=www] .box-value').textContent)`)
	if wide := ribbons(); len(wide) != 3 {
		t.Errorf("%d flows, want 3: to the chain, the cluster, the endpoint", len(wide))
	}
	p.Await(`/ [MG]iB.s$/.test(document.querySelector('#plot-throughput strong').textContent)`)
	p.AwaitValue("chain", "api", "0 B/s")
	p.CheckQuiet()
}

// TestExplain: what is typed lights the way it would go, and says why the others
// did not win.
func TestExplain(t *testing.T) {
	t.Parallel()
	_, p := open(t, smallShop, uitest.Look{})
	if got, want := p.Explain("api.example.com"), "api.example.com goes by filter chain api to cluster api or api-canary"; got != want {
		t.Errorf("the answer is %q, want %q", got, want)
	}
	want := []string{"https", "api", "api", "api-canary", "api-1", "canary"}
	p.Await(`document.querySelectorAll('.box.lit').length === 6`)
	if d := cmp.Diff(want, p.Lit()); d != "" {
		t.Errorf("lit boxes (-want +got):\n%s", d)
	}
	text := p.Text("#explanation-body")
	for _, want := range []string{"edge.hcl:15", "server_names is", "www.example.com, example.com", "It matches, but server_names is less specific", "weight 1", "ClientHello"} {
		if !strings.Contains(text, want) {
			t.Errorf("the explanation has no %q:\n%s", want, text)
		}
	}
	p.Press(kb.Escape)
	p.Await(`document.querySelector('#explanation').hidden && document.querySelectorAll('.lit').length === 0`)
	p.CheckQuiet()
}

// TestKill: only who is logged in is offered it, it asks once, and it ends the
// one connection.
func TestKill(t *testing.T) {
	t.Parallel()
	f, p := open(t, smallShop, uitest.Look{})
	var ids []uint64
	for range 3 {
		ids = append(ids, f.open(f.ways[0], status.Connection{}))
	}
	p.AwaitRow(ids[2], true)
	if got := p.Text("#connections-hint"); !strings.Contains(got, "Log in with the admin token") {
		t.Errorf("who may not change anything reads %q", got)
	}
	if n := uitest.Eval[int](p, `[...document.querySelectorAll('#connections .danger')].filter(b => b.checkVisibility()).length`); n != 0 {
		t.Errorf("%d buttons for what is not allowed", n)
	}
	p.Login(fakeToken)

	p.Click(`#connections tr[data-id="1001"] .danger`)
	p.Await(`document.querySelector('#confirm').open`)
	p.Press(kb.Escape)
	p.Await(`!document.querySelector('#confirm').open`)

	if got, want := p.Kill(ids[1]), "Connection 1002 killed"; got != want {
		t.Errorf("the page says %q, want %q", got, want)
	}
	p.AwaitRow(ids[1], false)
	p.AwaitValue("endpoint", "web-1", "2")
	if d := cmp.Diff([]string{"1001", "1003"}, p.Rows()); d != "" {
		t.Errorf("connections that are left (-want +got):\n%s", d)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if d := cmp.Diff([]uint64{ids[1]}, f.killed); d != "" {
		t.Errorf("asked to be ended (-want +got):\n%s", d)
	}
	p.CheckQuiet()
}

// TestTable: connections come in pages, are filtered by the gateway, and sorted.
func TestTable(t *testing.T) {
	t.Parallel()
	_, p := open(t, func(f *fake) {
		smallShop(f)
		for i := range 250 {
			f.add(f.ways[i%2], status.Connection{BytesSent: uint64(i * i % 251 << 10)})
		}
	}, uitest.Look{})
	p.AwaitRow(1001, true)
	if got, want := p.Text("#connections-summary"), "1–200 shown, 250 alive; sorted within these"; got != want {
		t.Errorf("the table says %q, want %q", got, want)
	}
	p.Click("#page-next")
	p.AwaitRow(1201, true)
	if rows := p.Rows(); len(rows) != 50 || rows[0] != "1201" || rows[49] != "1250" {
		t.Errorf("the second page is %v", rows)
	}
	p.Type("#filters [name=chain]", "api")
	p.Await(`document.querySelectorAll('#connections tbody tr').length === 125`)
	p.Click("th[data-field=bytes_sent] button")
	if how := uitest.Eval[string](p, `document.querySelector('th[data-field=bytes_sent]').ariaSort`); how != "descending" {
		t.Errorf("numbers are sorted %q at first, want the largest on top", how)
	}
	first := p.Rows()[0]
	want, most := "", -1
	for i := 1; i < 250; i += 2 {
		if sent := i * i % 251; sent > most {
			want, most = strconv.Itoa(1001+i), sent
		}
	}
	if first != want {
		t.Errorf("on top is %s, want %s, which has got most", first, want)
	}
	p.CheckQuiet()
}

// TestHostileNames: whatever a name says is text.
func TestHostileNames(t *testing.T) {
	t.Parallel()
	const bad = `<img src=x onerror="alert(1)"><script>alert(2)</script>`
	f, p := open(t, func(f *fake) {
		f.describe("l"+bad, "unix:/"+bad, 3, "c -> x")
		f.listeners[0].FilterChains[0].Name = "c" + bad
		f.listeners[0].FilterChains[0].MatchText = bad
		f.listeners[0].FilterChains[0].Position = bad + ":1"
		f.listeners[0].FilterChains[0].Destination[0].Cluster = "k" + bad
		f.cluster("k"+bad, 9, "e 10.0.0.1:1 unhealthy")
		f.endpoints[0].Name, f.endpoints[0].LastCheck.Reason, f.endpoints[0].Status = "e"+bad, bad, bad
		f.ways = []way{{listener: "l" + bad, chain: "c" + bad, cluster: "k" + bad, endpoint: "10.0.0.1:1", sni: bad}}
	}, uitest.Look{})
	id := f.open(f.ways[0], status.Connection{SNI: bad, ALPN: bad, Source: bad})
	p.AwaitRow(id, true)
	for kind, want := range map[string]string{"listener": "l", "chain": "c", "cluster": "k", "endpoint": "e"} {
		if d := cmp.Diff([]string{want + bad}, p.Boxes(kind)); d != "" {
			t.Errorf("%s (-want +got):\n%s", kind, d)
		}
		p.Click(".box[data-kind=" + kind + "]")
		p.Await(`!document.querySelector('#details').hidden && document.querySelector('#details-connections li') !== null`)
	}
	p.Type("#explain-name", bad+kb.Enter)
	p.Await(`document.querySelector('#explanation-title').textContent.startsWith('<img')`)
	if n := uitest.Eval[int](p, `document.querySelectorAll('img, body script').length`); n != 0 {
		t.Errorf("%d elements were made of names", n)
	}
	p.CheckQuiet()
}

// TestManyChains: ten thousand chains are a picture that can be read. What is
// busy is in it, and what is searched for.
func TestManyChains(t *testing.T) {
	t.Parallel()
	f, p := open(t, manyChains, uitest.Look{})
	if n := uitest.Eval[int](p, `document.querySelectorAll('.box').length`); n > 80 {
		t.Errorf("%d boxes are not a picture", n)
	}
	chains := p.Boxes("chain")
	if last := chains[len(chains)-1]; last != "and 9,982 more" {
		t.Errorf("the last box is %q", last)
	}
	f.open(f.ways[0], status.Connection{})
	p.AwaitValue("chain", "tenant-9000", "1")

	p.Explain("t7777.example.com")
	p.Await(`document.querySelector('.box.lit[data-name=tenant-7777]') !== null`)
	p.Click(uitest.Box("chain", chains[len(chains)-1]))
	p.Type("#details input", "tenant-4321")
	p.Await(`document.querySelectorAll('#details .found li').length === 1`)
	p.Click("#details .found button")
	p.Await(`document.querySelector('#details-title').textContent === 'tenant-4321' && document.querySelector('.box[data-name=tenant-4321]') !== null`)
	p.CheckQuiet()
}

// TestDetails: a box opens to its configuration with file and line, its
// counters and connections; an endpoint can be drained there.
func TestDetails(t *testing.T) {
	t.Parallel()
	f, p := open(t, smallShop, uitest.Look{})
	f.open(f.ways[0], status.Connection{Source: "198.51.100.7:4444"})
	p.Login(fakeToken)
	p.Click(uitest.Box("listener", "https"))
	p.Await(`document.querySelector('#details .source') !== null`)
	if got := p.Text("#details"); !strings.Contains(got, "edge.hcl:3") || !strings.Contains(got, `address = "0.0.0.0:443"`) || !strings.Contains(got, "www.example.com") {
		t.Errorf("the details of the listener:\n%s", got)
	}
	p.Click(uitest.Box("chain", "api"))
	p.Await(`document.querySelector('#details-connections').textContent === 'None now.Show in the table'`)
	if got := p.Text("#details-facts"); !strings.Contains(got, "api (50%), api-canary (50%)") || !strings.Contains(got, "terminated here") || !strings.Contains(got, "5m") {
		t.Errorf("the details of the chain:\n%s", got)
	}
	p.Click(uitest.Box("endpoint", "web-1"))
	p.Await(`document.querySelector('#details-actions button') !== null`)
	p.Click("#details-actions button:nth-of-type(2)")
	p.Await(`document.querySelector('.box[data-name=web-1] .box-sub').textContent.startsWith('drain')`)
	p.Await(`document.querySelector('#details-actions [aria-pressed=true]')?.textContent === 'drain'`)
	p.CheckQuiet()
}

// TestKeyboard: everything can be reached and done without a mouse.
func TestKeyboard(t *testing.T) {
	t.Parallel()
	f, p := open(t, smallShop, uitest.Look{})
	f.open(f.ways[0], status.Connection{})
	p.Press("/")
	if got := p.Focused(); got != "explain-name" {
		t.Fatalf("/ goes to %s", got)
	}
	var walked []string
	for range 40 {
		p.Press(kb.Tab)
		walked = append(walked, p.Focused())
		if walked[len(walked)-1] == "rest" {
			break
		}
	}
	i := slices.Index(walked, "https")
	if i < 0 || !slices.Equal(walked[i:], []string{"https", "www", "api", "rest"}) {
		t.Fatalf("tabs walk %v", walked)
	}
	if !uitest.Eval[bool](p, `getComputedStyle(document.activeElement).outlineStyle === 'solid'`) {
		t.Error("the focus does not show")
	}
	p.Press(kb.ArrowUp + kb.ArrowRight)
	if got := p.Focused(); got != "api" || !uitest.Eval[bool](p, `document.activeElement.dataset.kind === 'cluster'`) {
		t.Errorf("the arrows lead to %s", got)
	}
	p.Press(kb.Enter)
	p.Await(`document.activeElement.id === 'details' && document.querySelector('#details-title').textContent === 'api'`)
	p.Press(kb.Escape)
	p.Await(`document.querySelector('#details').hidden`)
	if got := p.Focused(); got != "api" {
		t.Errorf("after Escape the focus is on %s", got)
	}
	if nameless := uitest.Eval[[]string](p, `[...document.querySelectorAll('button, input, select, [role]')]
		.filter(e => !(e.ariaLabel || e.innerText?.trim() || e.labels?.length || e.getAttribute('aria-labelledby')) && e.checkVisibility() && e.id !== 'notice')
		.map(e => e.outerHTML)`); len(nameless) > 0 {
		t.Errorf("without a name for a screen reader: %v", nameless)
	}
	p.CheckQuiet()
}

// TestAway: the page says when the gateway is away, and goes on when it is back.
func TestAway(t *testing.T) {
	t.Parallel()
	f, p := open(t, smallShop, uitest.Look{})
	f.change(func() { f.away = true })
	f.CloseClientConnections()
	p.Await(`!document.querySelector('#away').hidden && document.querySelector('#away').textContent.includes('does not answer')`)
	f.change(func() { f.away = false })
	p.Await(`document.querySelector('#away').hidden`)
	p.Forget() // the browser has noted each request that failed
	f.open(f.ways[0], status.Connection{})
	p.AwaitValue("endpoint", "web-1", "1")
	p.CheckQuiet()
}

package uitest

import (
	"context"
	"fmt"
	"os/exec"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// Program is the browser, as Debian calls it.
const Program = "chromium"

// Patience is how long a test waits for what must come about: much longer than
// it takes on a busy machine, for which it need not be tight.
const Patience = time.Minute

// Browser is one running Chromium.
type Browser struct {
	ctx  context.Context
	stop []context.CancelFunc
}

// Start starts a browser. The caller has to close it.
func Start() (*Browser, error) {
	path, err := exec.LookPath(Program)
	if err != nil {
		return nil, err
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path),
		// Its sandbox refuses root, whom CI is. The pages are our own.
		chromedp.NoSandbox,
		chromedp.DisableGPU,
		// Nothing but what the page asks for.
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-domain-reliability", true),
		chromedp.Flag("no-proxy-server", true),
	)
	b := &Browser{}
	ctx, stop := chromedp.NewExecAllocator(context.Background(), options...)
	b.stop = append(b.stop, stop)
	b.ctx, stop = chromedp.NewContext(ctx)
	b.stop = append(b.stop, stop)
	if err := chromedp.Do(b.ctx); err != nil {
		b.Close()
		return nil, fmt.Errorf("starting %s: %w", path, err)
	}
	return b, nil
}

// Close ends the browser and waits for it.
func (b *Browser) Close() {
	for i := len(b.stop) - 1; i >= 0; i-- {
		b.stop[i]()
	}
}

// Look is how a page is looked at.
type Look struct {
	Width, Height int64 // in CSS pixels; 0: 1440 by 1000
	Scale         float64
	Phone         bool
	Dark          bool
}

// Open opens the page at base, "http://host:port/", in a tab of its own which
// the end of the test closes, and waits until it shows a gateway.
func (b *Browser) Open(t testing.TB, base string, look Look) *Page {
	t.Helper()
	if look.Width == 0 {
		look.Width, look.Height = 1440, 1000
	}
	if look.Scale == 0 {
		look.Scale = 1
	}
	ctx, stop := chromedp.NewContext(b.ctx, chromedp.WithNewBrowserContext())
	t.Cleanup(stop)
	p := &Page{t: t, ctx: ctx, base: base}
	p.listen()
	scheme := "light"
	if look.Dark {
		scheme = "dark"
	}
	media := []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}
	p.do("opening "+base,
		func(ctx context.Context, target *chromedp.Target) (chromedp.Void, error) {
			_, err := cdp.Call(ctx, target, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
				Width: look.Width, Height: look.Height, DeviceScaleFactor: look.Scale, Mobile: look.Phone})
			if err == nil {
				_, err = cdp.Call(ctx, target, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: media})
			}
			return chromedp.Void{}, err
		},
		chromedp.Navigate(base))
	p.Await(`!document.body.classList.contains('waiting') && document.querySelector('#session') && document.querySelector('#may').textContent !== ''`)
	return p
}

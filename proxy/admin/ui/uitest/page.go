package uitest

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// Page is a tab with the dashboard. Its methods are for the goroutine of the test.
type Page struct {
	t    testing.TB
	ctx  context.Context
	base string

	mu       sync.Mutex // guards what is below
	said     []string   // in the console, exceptions and dialogs included
	requests []string   // every address that was asked for
}

// listen notes what the page does by itself.
func (p *Page) listen() {
	p.t.Helper()
	// The context of the first action is that of the tab: it has to last.
	if err := chromedp.Do(p.ctx); err != nil {
		p.t.Fatalf("opening a tab: %v", err)
	}
	if err := chromedp.Listen(p.ctx, p.note); err != nil {
		p.t.Fatal(err)
	}
	p.do("listening", func(ctx context.Context, t *chromedp.Target) (chromedp.Void, error) {
		_, err := cdp.Call(ctx, t, network.Enable, network.EnableParams{})
		return chromedp.Void{}, err
	})
}

// note is called by the goroutine that reads what the browser tells.
func (p *Page) note(event any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch e := event.(type) {
	case *runtime.EventConsoleAPICalled:
		var words []string
		for _, a := range e.Args {
			words = append(words, string(a.Value)+a.Description)
		}
		p.said = append(p.said, fmt.Sprintf("%s: %s", e.Type, strings.Join(words, " ")))
	case *runtime.EventExceptionThrown:
		words := e.ExceptionDetails.Text
		if e.ExceptionDetails.Exception != nil {
			words += " " + e.ExceptionDetails.Exception.Description
		}
		p.said = append(p.said, words)
	case *log.EventEntryAdded:
		p.said = append(p.said, fmt.Sprintf("%s: %s %s", e.Entry.Level, e.Entry.Text, e.Entry.URL))
	case *page.EventJavascriptDialogOpening:
		p.said = append(p.said, "dialog: "+e.Message)
	case *network.EventRequestWillBeSent:
		p.requests = append(p.requests, e.Request.URL)
	}
}

// do runs actions, and fails the test when they do not end well.
func (p *Page) do(what string, actions ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	ctx, stop := context.WithTimeout(p.ctx, Patience)
	defer stop()
	if err := chromedp.Do(ctx, actions...); err != nil {
		p.t.Fatalf("%s: %v\n%s", what, err, p.heard())
	}
}

// ask runs one action for its value.
func ask[T any](p *Page, what string, action chromedp.Action[T]) T {
	p.t.Helper()
	ctx, stop := context.WithTimeout(p.ctx, Patience)
	defer stop()
	value, err := chromedp.Run(ctx, action)
	if err != nil {
		p.t.Fatalf("%s: %v\n%s", what, err, p.heard())
	}
	return value
}

func (p *Page) heard() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return "the console said: " + strings.Join(p.said, "\n")
}

// CheckQuiet fails the test when the console said anything, or a request has
// left the page's origin.
func (p *Page) CheckQuiet() {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.said {
		p.t.Errorf("the console said: %s", s)
	}
	own, err := url.Parse(p.base)
	if err != nil {
		p.t.Fatal(err)
	}
	for _, r := range p.requests {
		if u, err := url.Parse(r); err != nil || u.Scheme != own.Scheme || u.Host != own.Host {
			p.t.Errorf("the page has asked for %s, which is not of %s", r, p.base)
		}
	}
	if len(p.requests) == 0 {
		p.t.Error("BUG: no request was noticed at all")
	}
}

// Forget forgets what the console said: an error that the test has made.
func (p *Page) Forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.said = nil
}

// Eval gives the value of an expression in the page.
func Eval[T any](p *Page, expression string) T {
	p.t.Helper()
	return ask(p, expression, chromedp.Evaluate[T](expression))
}

// Await waits until an expression in the page holds.
func (p *Page) Await(expression string) {
	p.t.Helper()
	// Not with chromedp.Poll, which needs a page that may make functions of text.
	script := fmt.Sprintf(`new Promise((done) => {
		const look = () => (%s) ? done(true) : setTimeout(look, 20);
		look();
	})`, expression)
	ask(p, "waiting for "+expression, chromedp.Evaluate[bool](script, chromedp.EvalAwaitPromise))
}

// Click clicks where the element is, as a person would.
func (p *Page) Click(selector string) {
	p.t.Helper()
	at := chromedp.CSS(selector)
	p.do("clicking "+selector, chromedp.ScrollIntoView(at), chromedp.Click(at, chromedp.NodeVisible))
}

// Press presses keys wherever the focus is: "\t", "\r", or those of package kb.
func (p *Page) Press(keys string) {
	p.t.Helper()
	p.do(fmt.Sprintf("pressing %q", keys), chromedp.KeyEvent(keys))
}

// Type puts text into a field that is empty.
func (p *Page) Type(selector, text string) {
	p.t.Helper()
	p.do("typing into "+selector, chromedp.SendKeys(chromedp.CSS(selector), text))
}

// Text is what an element says.
func (p *Page) Text(selector string) string {
	p.t.Helper()
	return Eval[string](p, fmt.Sprintf(`document.querySelector(%s).innerText`, quoted(selector)))
}

// Focused describes what has the focus: a box by its name, else its id or tag.
func (p *Page) Focused() string {
	p.t.Helper()
	return Eval[string](p, `(e => e.dataset.name ?? (e.id || e.tagName))(document.activeElement)`)
}

// Boxes are the names of a column of the picture, from the top down. The kind
// is listener, chain, cluster or endpoint.
func (p *Page) Boxes(kind string) []string {
	p.t.Helper()
	return Eval[[]string](p, fmt.Sprintf(`[...document.querySelectorAll('.box[data-kind=%s]')].map(b => b.dataset.name)`, kind))
}

// Box selects a box of the picture.
func Box(kind, name string) string {
	return fmt.Sprintf(`.box[data-kind=%s][data-name=%s]`, kind, quoted(name))
}

// Value is the figure in a box.
func (p *Page) Value(kind, name string) string {
	p.t.Helper()
	return p.Text(Box(kind, name) + " .box-value")
}

// AwaitValue waits for a figure in a box.
func (p *Page) AwaitValue(kind, name, value string) {
	p.t.Helper()
	p.Await(fmt.Sprintf(`document.querySelector(%s)?.innerText === %s`, quoted(Box(kind, name)+" .box-value"), quoted(value)))
}

// Explain types a server name and waits for the answer, whose headline it gives.
func (p *Page) Explain(name string) string {
	p.t.Helper()
	p.do("emptying the search", chromedp.Clear(chromedp.CSS("#explain-name")))
	p.Type("#explain-name", name+kb.Enter)
	p.Await(fmt.Sprintf(`!document.querySelector('#explanation').hidden && document.querySelector('#explanation-title').textContent.startsWith(%s)`, quoted(name)))
	return p.Text("#explanation-title")
}

// Lit are the names of the boxes on the way that was explained, in all columns.
func (p *Page) Lit() []string {
	p.t.Helper()
	return Eval[[]string](p, `[...document.querySelectorAll('.box.lit')].map(b => b.dataset.name)`)
}

// Rows are the IDs in the table of connections, from the top down.
func (p *Page) Rows() []string {
	p.t.Helper()
	return Eval[[]string](p, `[...document.querySelectorAll('#connections tbody tr')].map(r => r.dataset.id)`)
}

// AwaitRow waits until the table has a connection, or has it no more.
func (p *Page) AwaitRow(id uint64, there bool) {
	p.t.Helper()
	p.Await(fmt.Sprintf(`!!document.querySelector('#connections tr[data-id="%d"]') === %t`, id, there))
}

// Login gives the token, and waits until the page may change things.
func (p *Page) Login(token string) {
	p.t.Helper()
	p.Click("#session")
	p.Type("#token", token+kb.Enter)
	p.Await(`document.querySelector('#may').textContent === 'may change things'`)
}

// Kill ends a connection that the table has, answers yes when asked, and gives
// what the page says then.
func (p *Page) Kill(id uint64) string {
	p.t.Helper()
	p.Click(fmt.Sprintf(`#connections tr[data-id="%d"] .danger`, id))
	p.Await(`document.querySelector('#confirm').open`)
	p.Click(`#confirm button[value=yes]`)
	p.Await(fmt.Sprintf(`document.querySelector('#notice.shown')?.textContent.startsWith('Connection %d')`, id))
	return p.Text("#notice")
}

// Screenshot takes a picture as PNG, of what is in the window or of the whole page.
func (p *Page) Screenshot(whole bool) []byte {
	p.t.Helper()
	if !whole {
		return ask(p, "taking a screenshot", chromedp.CaptureScreenshot())
	}
	return ask(p, "taking a screenshot", chromedp.FullScreenshot(100))
}

// quoted is a text as JavaScript, and as CSS within it, would have it.
func quoted(s string) string {
	text, err := json.Marshal(s)
	if err != nil {
		panic("BUG: uitest: " + err.Error())
	}
	return string(text)
}

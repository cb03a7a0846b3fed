package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"sluice/proxy/status"
)

// watch shows the connections that the gateway sends, until it or the user ends
// that.
func (n *inspection) watch(cmd *cobra.Command, filter status.ConnectionFilter, limit int) error {
	from, err := n.live(cmd, "a dump does not change")
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	filter.Limit = pageSize(limit, 0)
	query := filter.Query()
	query.Set("topics", "connections")
	out := cmd.OutOrStdout()
	show := func(page status.Connections) error { return appendPage(out, n.output, page) }
	if screen := newScreen(out); screen != nil && n.output != "json" && n.output != "yaml" {
		if err := screen.open(); err != nil {
			return err
		}
		defer screen.close()
		show = func(page status.Connections) error {
			return screen.draw(connectionView(page), n.output, watchTitle(from.name, page, time.Now()))
		}
	}
	err = from.events(ctx, query, func(event string, data []byte) error {
		switch event {
		case "failure":
			return fmt.Errorf("%s cannot tell of its connections now: %s", from.name, errorBody(data))
		case "connections":
		default:
			return nil
		}
		var page status.Connections
		if err := from.decode(data, &page, "connections", "total"); err != nil {
			return err
		}
		return show(page)
	})
	if ctx.Err() != nil {
		return nil // the user has ended it
	}
	return err
}

// watchTitle says what is seen.
func watchTitle(gateway string, page status.Connections, now time.Time) string {
	shown := fmt.Sprintf("%d shown", len(page.Connections))
	if page.Next != 0 {
		shown = fmt.Sprintf("the first %d shown", len(page.Connections))
	}
	return fmt.Sprintf("%s  %s  %s alive, %s  (Ctrl-C ends)", gateway, now.Format(time.TimeOnly), count(page.Total, "connection"), shown)
}

// appendPage writes a page after the one before.
func appendPage(w io.Writer, output string, page status.Connections) error {
	switch output {
	case "json": // a line each, as programs take them
		e := json.NewEncoder(w)
		e.SetEscapeHTML(false)
		return e.Encode(page)
	case "yaml":
		if _, err := fmt.Fprintln(w, "---"); err != nil {
			return err
		}
		return writeYAML(w, page)
	}
	if err := connectionView(page).print(w, output); err != nil {
		return err
	}
	_, err := fmt.Fprintln(w)
	return err
}

// screen draws over what it has drawn before. It is used by one goroutine.
type screen struct {
	w    io.Writer
	size func() (width, height int)
}

// newScreen gives the terminal that w is, or nil.
func newScreen(w io.Writer) *screen {
	if !isTerminal(w) || os.Getenv("TERM") == "dumb" {
		return nil
	}
	return &screen{w, func() (int, int) {
		width, height, err := term.GetSize(int(w.(*os.File).Fd()))
		if err != nil || width <= 0 || height <= 0 {
			return plainWidth, 24
		}
		return width, height
	}}
}

// The control sequences (ECMA-48, and xterm's for the second screen, which
// leaves what was on the first).
const (
	openScreen  = "\x1b[?1049h\x1b[?25l\x1b[2J" // and hide the cursor
	closeScreen = "\x1b[?25h\x1b[?1049l"
	toTop       = "\x1b[H"
	clearLine   = "\x1b[K"
	clearBelow  = "\x1b[J"
)

func (s *screen) open() error {
	_, err := io.WriteString(s.w, openScreen)
	return err
}

// close gives the terminal back. What else could be done with an error?
func (s *screen) close() { _, _ = io.WriteString(s.w, closeScreen) }

// draw draws a title and as much of a view as there is room for.
func (s *screen) draw(v view, output, title string) error {
	var text bytes.Buffer
	if err := v.print(&text, output); err != nil {
		return err
	}
	width, height := s.size()
	lines := append([]string{title, ""}, strings.Split(strings.TrimSuffix(text.String(), "\n"), "\n")...)
	if hidden := len(lines) - height; hidden > 0 {
		lines = append(lines[:height-1], fmt.Sprintf("... and %d more", hidden+1))
	}
	var out strings.Builder
	out.WriteString(toTop)
	for i, line := range lines {
		if i > 0 {
			out.WriteByte('\n')
		}
		if runes := []rune(line); len(runes) > width {
			line = string(runes[:width])
		}
		out.WriteString(line + clearLine)
	}
	out.WriteString(clearBelow)
	_, err := io.WriteString(s.w, out.String())
	return err
}

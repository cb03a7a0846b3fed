package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// maxEvent bounds a line of an event, in bytes: a page of most connections has
// 6 MB.
const maxEvent = 32 << 20

// events reads server-sent events (HTML Living Standard, section 9.2), and calls
// f for each until it gives an error, ctx ends, or the gateway does.
func (c *adminClient) events(ctx context.Context, query url.Values, f func(event string, data []byte) error) error {
	response, err := c.send(ctx, http.MethodGet, "/events", query, nil, "text/event-stream")
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if err := readEvents(response.Body, f); err != nil {
		return err
	}
	return fmt.Errorf("%s has ended the connection", c.name)
}

// readEvents gives nil at the end of the stream.
func readEvents(r io.Reader, f func(event string, data []byte) error) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxEvent)
	event, data := "", []byte(nil) // nil: there was none
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case lines.Text() == "": // the end of an event
			if data != nil {
				if err := f(event, data); err != nil {
					return err
				}
			}
			event, data = "", nil
		case name == "event":
			event = value
		case name == "data":
			if data == nil {
				data = []byte{}
			} else {
				data = append(data, '\n')
			}
			data = append(data, value...)
		}
	}
	if err := lines.Err(); err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("reading events: %w", err)
	}
	return nil
}

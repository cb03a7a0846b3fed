package admin

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"
)

// contentTypes are those of what a page is made of. The machine's own list of
// types differs from one to the next.
func contentType(name string) string {
	switch path.Ext(name) {
	case ".html":
		return "text/html; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".json", ".map":
		return "application/json"
	case ".svg":
		return "image/svg+xml"
	case ".png":
		return "image/png"
	case ".ico":
		return "image/x-icon"
	case ".woff2":
		return "font/woff2"
	case ".txt":
		return "text/plain; charset=utf-8"
	}
	return "application/octet-stream"
}

// pageRoutes gives the files of the page, each under its path. They are for
// anyone: there is nothing in them but the program, and it asks for the token.
func (s *site) pageRoutes(page fs.FS) []route {
	var routes []route
	err := fs.WalkDir(page, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || name == frontFile {
			return err
		}
		routes = append(routes, route{"GET", "/" + name, anyone, "", s.file(name)})
		return nil
	})
	if err != nil {
		panic("BUG: admin: the page cannot be read: " + err.Error())
	}
	return routes
}

// frontFile is what stands at "/".
const frontFile = "index.html"

// front gives the page, or where there is none a list of what else there is.
func (s *site) front(w http.ResponseWriter, r *http.Request) error {
	if s.server.options.Page != nil {
		return s.file(frontFile)(w, r)
	}
	var list strings.Builder
	for _, rt := range s.routes {
		fmt.Fprintf(&list, "%-4s  %-42s  %s\n", rt.method, strings.TrimSuffix(rt.path, "{$}"), rt.who)
	}
	w.Header().Set("Content-Type", contentType(".txt"))
	// The error is that the client is gone.
	_, _ = w.Write([]byte(list.String()))
	return nil
}

// file gives a file of the page. A browser keeps it, and asks each time whether
// it has changed.
func (s *site) file(name string) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		text, err := fs.ReadFile(s.server.options.Page, name)
		if err != nil {
			return fail(http.StatusNotFound, "the page has no %s", name)
		}
		sum := sha256.Sum256(text)
		h := w.Header()
		h.Set("Cache-Control", "no-cache")
		h.Set("Content-Type", contentType(name))
		h.Set("ETag", `"`+hex.EncodeToString(sum[:16])+`"`)
		http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(text))
		return nil
	}
}

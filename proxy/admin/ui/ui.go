package ui

import (
	"embed"
	"io/fs"
)

//go:embed dist
var dist embed.FS

// Files is the page: index.html and what it loads, without directories. Every
// name of a file stays the same when its content changes.
var Files = files()

func files() fs.FS {
	sub, err := fs.Sub(dist, "dist")
	if err != nil {
		panic("BUG: ui: " + err.Error())
	}
	return sub
}

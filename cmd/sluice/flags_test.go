package main

import (
	"io/fs"
	"os"
	"strings"
	"testing"
)

func TestDefaultConfig(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name   string
		stat   map[string]error // fs.ErrNotExist for what is missing here
		want   string
		refuse bool
	}{
		{"both", map[string]error{"sluice.hcl": nil, "/etc/sluice": nil}, "sluice.hcl", false},
		{"only here", map[string]error{"sluice.hcl": nil}, "sluice.hcl", false},
		{"only the system's", map[string]error{"/etc/sluice": nil}, "/etc/sluice", false},
		{"unreadable here", map[string]error{"sluice.hcl": fs.ErrPermission, "/etc/sluice": nil}, "sluice.hcl", false},
		{"unreadable in the system", map[string]error{"/etc/sluice": fs.ErrPermission}, "/etc/sluice", false},
		{"neither", nil, "", true},
	}
	for _, tc := range cases {
		got, err := defaultConfig(func(path string) (fs.FileInfo, error) {
			err, there := tc.stat[path]
			if !there {
				err = fs.ErrNotExist
			}
			return nil, &os.PathError{Op: "stat", Path: path, Err: err}
		})
		if got != tc.want || (err != nil) != tc.refuse {
			t.Errorf("%s: %q, %v, want %q", tc.name, got, err, tc.want)
		}
		if tc.refuse && !strings.Contains(errorText(err), "sluice demo") {
			t.Errorf("%s: %v does not say how to begin", tc.name, err)
		}
	}
}

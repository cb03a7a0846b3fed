package clienthello_test

import (
	"os"
	"path/filepath"
	"testing"

	"sluice/tlsutil/clienthello/hellotest"
)

// addSeeds gives a fuzz target all vectors and all captured hellos.
func addSeeds(f *testing.F) {
	for _, v := range hellotest.Vectors() {
		f.Add(v.Bytes)
	}
	files, err := filepath.Glob(filepath.Join("testdata", "*.bin"))
	if err != nil || len(files) < len(corpus) {
		f.Fatalf("%d files in testdata, want %d (%v)", len(files), len(corpus), err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
}

// FuzzParse holds what is true of any bytes: no panic, no answer that more
// bytes would change, none that fewer bytes would have made wrong, and sizes
// within bounds.
func FuzzParse(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, max := range []int{512, maxHello} {
			checkPrefixes(t, b, max, 1+len(b)/256)
		}
	})
}

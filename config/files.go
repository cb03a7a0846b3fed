package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// source is one file that could be parsed.
type source struct {
	name string // as the user named it
	text []byte // never changed
	body *hclsyntax.Body
}

// readPath reads and parses a file, or the files of a directory.
func (l *loader) readPath(path string) {
	info, err := os.Stat(path)
	if err != nil {
		l.unreadable(path, err)
		return
	}
	if !info.IsDir() {
		src, err := ReadFile(path)
		l.read(path, src, err)
		return
	}
	entries, err := os.ReadDir(path) // sorted by name
	if err != nil {
		l.unreadable(path, err)
		return
	}
	found := false
	for _, entry := range entries {
		name := entry.Name()
		// Editors keep unfinished copies beside a file under a leading dot.
		if !strings.HasSuffix(name, ".hcl") || strings.HasPrefix(name, ".") || entry.IsDir() {
			continue
		}
		found = true
		path := filepath.Join(path, name)
		src, err := ReadRegularFile(path)
		l.read(path, src, err)
	}
	if !found {
		l.incomplete = true
		l.errorNowhere("No configuration", "The directory %s has no *.hcl file in it.", path)
	}
}

// read takes what was read from a file.
func (l *loader) read(path string, src []byte, err error) {
	if err != nil {
		l.unreadable(path, err)
		return
	}
	l.parse(path, src)
}

func (l *loader) unreadable(path string, err error) {
	l.incomplete = true
	l.errorNowhere("Unreadable configuration", "%s: %v.", path, reasonOf(err))
}

// parse adds a file. One with a syntax error is left out of everything that
// follows: half a file would only give errors about its other half.
func (l *loader) parse(name string, src []byte) {
	if !l.checkNesting(name, src) {
		l.incomplete = true
		return
	}
	file, diags := parseFile(src, name, l.longPlainList)
	l.files[name] = file
	if l.foreign(untilOpenQuote(diags)) {
		l.incomplete = true
		return
	}
	body := file.Body.(*hclsyntax.Body)
	if !l.checkNumbers(body) {
		l.incomplete = true
		return
	}
	l.sources = append(l.sources, &source{name: name, text: src, body: body})
}

// maxExponent is the binary exponent of the largest number that may be
// written, which is far more than any number here can mean.
const maxExponent = 1 << 10

// checkNumbers reports numbers such as 1e999999999. They are cheap to read,
// but whoever turns one into text writes a gigabyte of zeros.
func (l *loader) checkNumbers(body *hclsyntax.Body) bool {
	failures := l.failures
	hclsyntax.VisitAll(body, func(node hclsyntax.Node) hcl.Diagnostics {
		if x, ok := node.(*hclsyntax.LiteralValueExpr); ok && x.Val.Type() == cty.Number && !x.Val.IsNull() && isHuge(x.Val) {
			l.errorf(x.SrcRange, "Number out of range", "No number here can be so large or so small. Write one with fewer digits.")
		}
		return nil
	})
	return l.failures == failures
}

// isHugeNumber is isHuge for any value.
func isHugeNumber(value cty.Value) bool {
	value, _ = value.Unmark()
	return value.Type() == cty.Number && value.IsKnown() && !value.IsNull() && isHuge(value)
}

func isHuge(number cty.Value) bool {
	n := number.AsBigFloat()
	exponent := n.MantExp(nil)
	return n.IsInf() || exponent > maxExponent || exponent < -maxExponent
}

// untilOpenQuote leaves out what the parser says after a quote that is never
// closed: the rest of the file is then taken for text and text for the file.
func untilOpenQuote(diags hcl.Diagnostics) hcl.Diagnostics {
	for i, diag := range diags {
		if diag.Summary == "Invalid multi-line string" || diag.Summary == "Unterminated template string" {
			return diags[:i+1]
		}
	}
	return diags
}

// maxFile is how much is read of one file, which is more than any that was
// written for the purpose has: an endless one must not use up the memory.
const maxFile = 64 << 20

// ReadFile is [os.ReadFile] for a file that the user named. It may be a pipe,
// for whose writer this waits; more than 64 MiB are an error.
func ReadFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return ReadAll(f)
}

// ReadRegularFile is [ReadFile] for a file that was found in a directory:
// nobody may be there to write into a pipe.
func ReadRegularFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, &fs.PathError{Op: "read", Path: path, Err: errors.New("it is not a regular file")}
	}
	return ReadFile(path)
}

// ReadAll is [io.ReadAll] with the limit of [ReadFile].
func ReadAll(r io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = fmt.Errorf("it has more than %d MiB", maxFile>>20)
	}
	return data, err
}

// directoryOf is the directory that relative paths in a file are relative to.
func directoryOf(file string) string {
	dir := filepath.Dir(file)
	if abs, err := filepath.Abs(dir); err == nil {
		return abs
	}
	return dir // the working directory is gone; the path is then reported as unreadable
}

// reasonOf is why a file could not be read, without its name.
func reasonOf(err error) error {
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		return pathError.Err
	}
	return err
}

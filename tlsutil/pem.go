package tlsutil

import (
	"bytes"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// LoadError says what is wrong with a file and what to do about it. Problem
// is short enough for the headline of a diagnostic; Fix is the rest of it.
type LoadError struct {
	File    string // the file to point at
	Problem string // a few words
	Fix     string // the circumstances, and what to do
	Err     error  // the cause, if there is one beneath
}

func (e *LoadError) Error() string {
	return fmt.Sprintf("loading %q: %s: %s", e.File, e.Problem, e.Fix)
}

// Unwrap gives the cause.
func (e *LoadError) Unwrap() error { return e.Err }

// maxFile bounds what is read: more than any certificate or revocation list
// has.
const maxFile = 64 << 20

// readFile is os.ReadFile with a bound and a LoadError.
func readFile(file string) ([]byte, error) {
	data, err := readBounded(file)
	if err == nil {
		return data, nil
	}
	cause := err
	// The path is in the LoadError already.
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		cause = pe.Err
	}
	return nil, &LoadError{
		File:    file,
		Problem: "file cannot be read",
		Fix:     fmt.Sprintf("%v; give the path of a file that the gateway's user may read", cause),
		Err:     err,
	}
}

// readBounded reads a regular file. Nobody may be there to write into a pipe,
// and a device may have no end.
func readBounded(file string) ([]byte, error) {
	info, err := os.Stat(file)
	switch {
	case err != nil:
		return nil, err
	case info.IsDir():
		return nil, errors.New("it is a directory")
	case !info.Mode().IsRegular():
		return nil, errors.New("it is not a regular file")
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = fmt.Errorf("it has more than %d MiB", maxFile>>20)
	}
	return data, err
}

// pemBlock is a block and the line its BEGIN stands on.
type pemBlock struct {
	*pem.Block
	line int
}

var pemBegin = []byte("-----BEGIN ")

// pemBlocks gives every block of data. encoding/pem skips in silence what it
// cannot decode, so that a damaged CA or revocation list would merely be
// missing; here each BEGIN must have become a block. Text between blocks is
// allowed, as openssl writes it.
func pemBlocks(file string, data []byte) ([]pemBlock, error) {
	var blocks []pemBlock
	line := 1
	for rest := data; ; {
		block, after := pem.Decode(rest)
		if block == nil {
			after = nil
		}
		consumed := rest[:len(rest)-len(after)]
		begin := bytes.Index(consumed, pemBegin)
		if block == nil && begin < 0 {
			return blocks, nil
		}
		at := line + bytes.Count(consumed[:begin], []byte("\n"))
		if block == nil || bytes.Count(consumed, pemBegin) != 1 {
			return nil, &LoadError{
				File:    file,
				Problem: "damaged PEM block",
				Fix: fmt.Sprintf("the block that begins in line %d cannot be decoded; "+
					"copy the file again from where it came, or remove the block", at),
			}
		}
		blocks = append(blocks, pemBlock{block, at})
		line += bytes.Count(consumed, []byte("\n"))
		rest = after
	}
}

// looksLikeDER tells a binary file from one without PEM blocks: certificates,
// keys and lists are all ASN.1 sequences with a long-form length.
func looksLikeDER(data []byte) bool {
	return len(data) > 2 && data[0] == 0x30 && data[1]&0x80 != 0
}

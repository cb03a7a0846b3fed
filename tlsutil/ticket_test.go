package tlsutil

import (
	"bytes"
	"encoding/hex"
	"path/filepath"
	"strings"
	"testing"
)

func TestLoadTicketKeys(t *testing.T) {
	t.Parallel()
	raw := bytes.Repeat([]byte{'k', '\n'}, 16)
	hexKey := strings.Repeat("0aF", 21) + "1"
	dir := files(t, map[string][]byte{"raw": raw, "hex": []byte(hexKey + "\n")})
	keys, err := LoadTicketKeys([]string{filepath.Join(dir, "raw"), filepath.Join(dir, "hex")})
	if err != nil {
		t.Fatal(err)
	}
	want, err := hex.DecodeString(hexKey)
	if err != nil {
		t.Fatal(err)
	}
	if len(keys) != 2 || keys[0] != [32]byte(raw) || keys[1] != [32]byte(want) {
		t.Errorf("got %x", keys)
	}
	if keys, err := LoadTicketKeys(nil); err != nil || len(keys) != 0 {
		t.Errorf("no files: %x, %v", keys, err)
	}

	const rule = "a key is 32 random bytes, or 64 hexadecimal digits as from openssl rand -hex 32"
	tests := []struct {
		name  string
		files map[string][]byte
		blame string
		want  string
	}{
		{"missing", map[string][]byte{"a": raw}, "b",
			"file cannot be read: no such file or directory; give the path of a file that the gateway's user may read"},
		{"nginx's 48 bytes", map[string][]byte{"a": raw, "b": make([]byte, 48)}, "b", "invalid session ticket key: the file has 48 bytes; " + rule},
		{"newline after raw bytes", map[string][]byte{"a": raw, "b": join(raw, []byte("\n"))}, "b",
			"invalid session ticket key: the file has 33 bytes; " + rule},
		{"not hexadecimal", map[string][]byte{"a": raw, "b": bytes.Repeat([]byte("g"), 64)}, "b",
			"invalid session ticket key: the file has 64 bytes; " + rule},
		{"zeros", map[string][]byte{"a": raw, "b": make([]byte, 32)}, "b",
			"invalid session ticket key: it is all zeros, which anybody can guess; write a random one: openssl rand -hex 32"},
		{"twice", map[string][]byte{"a": raw, "b": []byte(hex.EncodeToString(raw))}, "b",
			"session ticket key repeated: an earlier file holds the same key; remove one of the two"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := files(t, tt.files)
			keys, err := LoadTicketKeys([]string{filepath.Join(dir, "a"), filepath.Join(dir, "b")})
			if keys != nil {
				t.Error("got keys with the error")
			}
			wantLoadError(t, err, dir, tt.blame, tt.want)
		})
	}
}

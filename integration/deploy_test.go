package integration

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestUnitFiles: systemd takes the unit files as they are, but for the place of
// the program, which it wants to be there.
func TestUnitFiles(t *testing.T) {
	t.Parallel()
	needTool(t, "systemd-analyze")
	for _, unit := range []string{"sluice.service", "sluice-hardened.service", "sluice.socket"} {
		t.Run(unit, func(t *testing.T) {
			t.Parallel()
			dir := unitsIn(t)
			out, err := run(t, "", "systemd-analyze", "verify", "--man=no", "--recursive-errors=no", filepath.Join(dir, unit))
			if err != nil || strings.TrimSpace(out) != "" {
				t.Errorf("systemd-analyze verify: %v\n%s", err, out)
			}
		})
	}
}

// TestHardening: systemd itself finds little to complain of.
func TestHardening(t *testing.T) {
	t.Parallel()
	needTool(t, "systemd-analyze")
	out, err := run(t, "", "systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold=25",
		filepath.Join(unitsIn(t), "sluice-hardened.service"))
	if err != nil {
		t.Errorf("systemd-analyze security: %v\n%s", err, out)
	}
}

// unitsIn copies the unit files to a directory where their program is.
func unitsIn(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	files, err := filepath.Glob("deploy/sluice*.s*")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		text := strings.ReplaceAll(readFile(t, file), "/usr/local/bin/sluice", gatewayBinary)
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(file)), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

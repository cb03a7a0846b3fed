package ui_test

import (
	"fmt"
	"os"
	"os/exec"
	"testing"

	"sluice/proxy/admin/ui/uitest"
)

// browser is shared by the tests: starting one takes a second.
var browser *uitest.Browser

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	if _, err := exec.LookPath(uitest.Program); err != nil {
		fmt.Printf("tests were skipped for want of: %s\n", uitest.Program)
		return m.Run()
	}
	var err error
	if browser, err = uitest.Start(); err != nil {
		fmt.Println(err)
		return 1
	}
	defer browser.Close()
	return m.Run()
}

// needBrowser skips the test when there is none. With SLUICE_REQUIRE_TOOLS=1 it
// fails instead. No other test may skip.
func needBrowser(t *testing.T) *uitest.Browser {
	t.Helper()
	if browser == nil && os.Getenv("SLUICE_REQUIRE_TOOLS") == "1" {
		t.Fatalf("this test needs %s", uitest.Program)
	}
	if browser == nil {
		t.Skipf("this test needs %s", uitest.Program)
	}
	return browser
}

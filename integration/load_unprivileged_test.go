package integration

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// nobody is a user without privileges, for whom the kernel bounds the memory
// of pipes (pipe(7), pipe-user-pages-soft).
const nobody = 65534

// asNobody runs the gateway as that user. Without root there is nothing to do:
// the tests' own user has no privileges either.
func asNobody() option {
	return withCommand(func(cmd *exec.Cmd) {
		if os.Geteuid() == 0 {
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		}
	})
}

// TestPipesOfUserWithoutPrivileges has two gateways of one user hold as many
// pipes as they want, which is more than the user may have at full size, while
// other connections go on. Past the limit the kernel gives out pipes of two
// pages: the gateway must rather copy than use one.
func TestPipesOfUserWithoutPrivileges(t *testing.T) {
	var current atomic.Pointer[bulk]
	endpoint := backend(t, func(c net.Conn) { current.Load().play(c, nil, endpointEnd) })
	stalled, flowing := 100, 20
	gateways := make([]*process, 2)
	loads := make([]*bulk, len(gateways))
	waits := make([]func(), len(gateways))
	for i := range gateways {
		p := startSluice(t, plainGateway("127.0.0.1:0", endpoint), asNobody())
		b := newSlowBulk()
		current.Store(b)
		gateways[i], loads[i] = p, b
		waits[i] = b.start(t, visitor{plainKind, p.address("tcp")}, stalled)
		b.awaitStall(t)
	}

	b := newBulk(loadSize[int64](16 << 20))
	current.Store(b)
	last := gateways[len(gateways)-1]
	b.start(t, visitor{plainKind, last.address("tcp")}, flowing)()
	b.check(t, flowing)

	held := 0
	for i, p := range gateways {
		sizes := p.pipeSizes()
		t.Logf("gateway %d, with %d stalled connections, has pipes of (size: how many) %v", i+1, stalled, sizes)
		for size, n := range sizes {
			held += n
			if size < 64<<10 {
				t.Errorf("gateway %d has %d pipes of %d bytes, want none below 64 KiB", i+1, n, size)
			}
		}
	}
	if held < 64 {
		t.Errorf("the gateways hold %d pipes: the test shows nothing", held)
	}

	for i, b := range loads {
		b.release()
		waits[i]()
		b.check(t, stalled)
	}
	for i, p := range gateways {
		eventually(t, fmt.Sprintf("gateway %d holds no pipe", i+1), func() bool { return len(p.pipeSizes()) == 0 })
	}
}

// pipeSizes counts the pipes that the gateway has both ends of, which those of
// its output are not, by their capacity.
func (p *process) pipeSizes() map[int]int {
	p.t.Helper()
	entries, err := os.ReadDir(p.proc("fd"))
	if err != nil {
		p.t.Fatal(err)
	}
	seen := make(map[string]bool)
	sizes := make(map[int]int)
	for _, e := range entries {
		file := p.proc("fd/" + e.Name())
		target, err := os.Readlink(file)
		if err != nil || !strings.HasPrefix(target, "pipe:") {
			continue // closed meanwhile, or something else
		}
		if !seen[target] {
			seen[target] = true
			continue
		}
		if size, ok := pipeSize(file); ok {
			sizes[size]++
		}
	}
	return sizes
}

// pipeSize gives the capacity of a pipe, by way of a descriptor of our own for
// it; false when it is gone.
func pipeSize(file string) (int, bool) {
	fd, err := unix.Open(file, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0, false
	}
	defer unix.Close(fd)
	size, err := unix.FcntlInt(uintptr(fd), unix.F_GETPIPE_SZ, 0)
	return size, err == nil
}

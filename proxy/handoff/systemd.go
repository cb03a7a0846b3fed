package handoff

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/activation"
	"github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sys/unix"
)

// Activation is a listening socket that the service manager has opened.
type Activation struct {
	Name string // FileDescriptorName= of the socket unit; its own name when there is none
	FD   int
}

// Activated gives the sockets of socket units (LISTEN_FDS, LISTEN_FDNAMES; see
// sd_listen_fds(3)), in their order. Afterwards nothing in the environment tells
// of them any more, so that a successor is not confused. It has to be called
// once, before the process opens or starts anything.
func Activated() ([]Activation, error) {
	var list []Activation
	for _, f := range activation.Files(true) {
		// Not f's own descriptor: it would be closed when f is collected.
		fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
		name := f.Name()
		f.Close()
		if err == nil {
			err = isListening(fd)
		}
		if err != nil {
			return nil, fmt.Errorf("the socket %q of the service manager: %w", name, err)
		}
		list = append(list, Activation{Name: name, FD: fd})
	}
	return list, nil
}

// isListening tells with an error when a descriptor cannot be accepted from.
func isListening(fd int) error {
	listening, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	if err != nil {
		return os.NewSyscallError("getsockopt", err)
	}
	kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	if err != nil {
		return os.NewSyscallError("getsockopt", err)
	}
	if listening == 0 || kind != unix.SOCK_STREAM {
		return fmt.Errorf("it does not listen for connections: the socket unit needs ListenStream= and Accept=no")
	}
	return unix.SetNonblock(fd, true)
}

// Environment gives the environment for a successor out of that which this
// process was started with: without what was said to this process alone.
func Environment(environ []string) []string {
	var kept []string
	for _, v := range environ {
		name, _, _ := strings.Cut(v, "=")
		switch name {
		case environment, "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PIDFDID", "WATCHDOG_PID":
		default:
			kept = append(kept, v)
		}
	}
	return kept
}

// Notify tells the service manager what goes on (sd_notify(3)), in lines of
// NAME=VALUE. Without one it does nothing.
func Notify(lines ...string) error {
	if _, err := daemon.SdNotify(false, strings.Join(lines, "\n")); err != nil {
		return fmt.Errorf("telling the service manager: %w", err)
	}
	return nil
}

// NotifyReloading is what is said when a reload begins: with the time, so that
// the service manager can tell it from an earlier one.
func NotifyReloading() error {
	return Notify(daemon.SdNotifyReloading, strings.TrimSuffix(daemon.SdNotifyMonotonicUsec(), "\n"))
}

// WatchdogInterval is how often the service manager wants to hear that this
// process is well; 0: it does not.
func WatchdogInterval() (time.Duration, error) {
	d, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		return 0, fmt.Errorf("the service manager's watchdog: %w", err)
	}
	return d, nil
}

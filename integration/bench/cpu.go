package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of /proc/stat: USER_HZ is 100 on every architecture that
// this program runs on.
const tick = 10 * time.Millisecond

// processTree is a process with all its descendants, so that a peer's workers
// count whatever they are called.
func processTree(root int) ([]int, error) {
	parents, err := parentsOfProcesses()
	if err != nil {
		return nil, err
	}
	tree := []int{root}
	for i := 0; i < len(tree); i++ {
		for pid, parent := range parents {
			if parent == tree[i] && !slices.Contains(tree, pid) {
				tree = append(tree, pid)
			}
		}
	}
	return tree, nil
}

func parentsOfProcesses() (map[int]int, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("listing processes: %w", err)
	}
	parents := make(map[int]int)
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		stat, err := os.ReadFile(filepath.Join("/proc", e.Name(), "stat"))
		if err != nil {
			continue // it ended meanwhile
		}
		if parent, ok := parentInStat(stat); ok {
			parents[pid] = parent
		}
	}
	return parents, nil
}

// parentInStat reads the fourth field. The second is the command's name in
// parentheses and may hold anything, parentheses and blanks included.
func parentInStat(stat []byte) (int, bool) {
	end := bytes.LastIndexByte(stat, ')')
	if end < 0 {
		return 0, false
	}
	fields := strings.Fields(string(stat[end+1:]))
	if len(fields) < 2 {
		return 0, false
	}
	parent, err := strconv.Atoi(fields[1])
	return parent, err == nil
}

// cpuTime is the time that all threads of the processes have run, in the
// kernel and outside, by /proc/PID/task/TID/schedstat. It has nanoseconds where
// times(2) has ticks. What a thread that has ended had used is not in it; the
// peers keep theirs.
func cpuTime(pids []int) (time.Duration, error) {
	var sum time.Duration
	for _, pid := range pids {
		files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
		if err != nil || len(files) == 0 {
			return 0, fmt.Errorf("process %d has no schedstat: it has ended, or the kernel lacks CONFIG_SCHED_INFO", pid)
		}
		for _, f := range files {
			text, err := os.ReadFile(f)
			if errors.Is(err, os.ErrNotExist) {
				continue
			}
			if err != nil {
				return 0, err
			}
			ran, err := parseSchedstat(text)
			if err != nil {
				return 0, fmt.Errorf("reading %s: %w", f, err)
			}
			sum += ran
		}
	}
	return sum, nil
}

// parseSchedstat reads the first field: the time on a CPU in nanoseconds.
func parseSchedstat(text []byte) (time.Duration, error) {
	first, _, _ := strings.Cut(strings.TrimSpace(string(text)), " ")
	ns, err := strconv.ParseInt(first, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("not a schedstat line: %q", text)
	}
	return time.Duration(ns), nil
}

// busyTime is the time that the machine's CPUs have worked since it started.
func busyTime() (time.Duration, error) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, err
	}
	return parseBusy(text)
}

// parseBusy adds the fields of /proc/stat that are work: user, nice, system,
// irq and softirq. Guests are in user already; stolen time is another
// machine's.
func parseBusy(text []byte) (time.Duration, error) {
	line, _, _ := strings.Cut(string(text), "\n")
	fields := strings.Fields(line)
	if len(fields) < 8 || fields[0] != "cpu" {
		return 0, fmt.Errorf("not the first line of /proc/stat: %q", line)
	}
	var ticks int64
	for _, i := range []int{1, 2, 3, 6, 7} {
		n, err := strconv.ParseInt(fields[i], 10, 64)
		if err != nil {
			return 0, fmt.Errorf("not the first line of /proc/stat: %q", line)
		}
		ticks += n
	}
	return time.Duration(ticks) * tick, nil
}

// meter reads the clocks of one measurement: the peer's, the machine's, and
// those of the load's own two processes.
type meter struct {
	peer, load []int
}

// reading is what a meter shows at one moment.
type reading struct {
	peer, load, busy time.Duration
}

func (m *meter) read() (r reading, err error) {
	if r.peer, err = cpuTime(m.peer); err != nil {
		return r, err
	}
	if r.load, err = cpuTime(m.load); err != nil {
		return r, err
	}
	r.busy, err = busyTime()
	return r, err
}

// machineTime is what the machine did between two readings besides the load's
// own processes: the peer, and the softirq work that is charged to whoever
// happens to run. It is never negative, though ticks are coarse.
func (r reading) machineTime(before reading) time.Duration {
	return max(r.busy-before.busy-(r.load-before.load), 0)
}

package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// footprint is what a peer's processes hold at one moment.
type footprint struct {
	resident    int64 // bytes, of all processes
	descriptors int
	pipes       int   // ends of pipes among the descriptors
	kernel      int64 // bytes in slabs, of the whole machine
}

// measureFootprint looks at the processes and at the kernel's slabs.
func measureFootprint(pids []int) (footprint, error) {
	var f footprint
	for _, pid := range pids {
		rollup, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
		if err != nil {
			return f, err
		}
		rss, err := kilobytesOf(rollup, "Rss:")
		if err != nil {
			return f, err
		}
		f.resident += rss
		if err := f.countDescriptors(pid); err != nil {
			return f, err
		}
	}
	var err error
	f.kernel, err = slabBytes()
	return f, err
}

func (f *footprint) countDescriptors(pid int) error {
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	f.descriptors += len(entries)
	for _, e := range entries {
		if to, err := os.Readlink(filepath.Join(dir, e.Name())); err == nil && strings.HasPrefix(to, "pipe:") {
			f.pipes++
		}
	}
	return nil
}

// kilobytesOf finds a line like "Rss:   4 kB" and returns its value in bytes.
func kilobytesOf(text []byte, name string) (int64, error) {
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) >= 2 && fields[0] == name {
			kb, err := strconv.ParseInt(fields[1], 10, 64)
			if err != nil {
				return 0, fmt.Errorf("not a number of kilobytes: %q", line)
			}
			return kb << 10, nil
		}
	}
	return 0, fmt.Errorf("no line %q", name)
}

// slabBytes counts the kernel's objects. Slabs are given back late, so that
// their pages say little about the last second: what is in use does. Only root
// may read that; others get the pages of all slabs.
func slabBytes() (int64, error) {
	text, err := os.ReadFile("/proc/slabinfo")
	if err == nil {
		return parseSlabinfo(text)
	}
	if !errors.Is(err, os.ErrPermission) && !errors.Is(err, os.ErrNotExist) {
		return 0, err
	}
	if text, err = os.ReadFile("/proc/meminfo"); err != nil {
		return 0, err
	}
	return kilobytesOf(text, "Slab:")
}

// timeWait is the cache of sockets in TIME_WAIT: those of the rows before end
// during the next ones, in their thousands.
const timeWait = "tw_sock_TCP"

// parseSlabinfo adds active objects times their size over all caches but that
// of TIME_WAIT.
func parseSlabinfo(text []byte) (int64, error) {
	var sum int64
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		line := lines.Text()
		if strings.HasPrefix(line, "#") || strings.HasPrefix(line, timeWait) || strings.HasPrefix(line, "slabinfo") {
			continue
		}
		fields := strings.Fields(line)
		if len(fields) < 4 {
			return 0, fmt.Errorf("not a line of slabinfo: %q", line)
		}
		active, err1 := strconv.ParseInt(fields[1], 10, 64)
		size, err2 := strconv.ParseInt(fields[3], 10, 64)
		if err := errors.Join(err1, err2); err != nil {
			return 0, fmt.Errorf("not a line of slabinfo: %q: %w", line, err)
		}
		sum += active * size
	}
	return sum, lines.Err()
}

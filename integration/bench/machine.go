package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"
)

// machine is where the run was.
type machine struct {
	CPU    string `json:"cpu"`
	CPUs   int    `json:"cpus"`
	Kernel string `json:"kernel"`
	Memory int64  `json:"memory_bytes"`
	Go     string `json:"go"`
}

// describeMachine reads what it can; what it cannot is "unknown".
func describeMachine() machine {
	m := machine{CPU: "unknown CPU", CPUs: runtime.NumCPU(), Kernel: "unknown kernel", Go: runtime.Version()}
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		m.CPU = cpuModel(text, m.CPU)
	}
	if text, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		m.Kernel = strings.TrimSpace(string(text))
	}
	if text, err := os.ReadFile("/proc/meminfo"); err == nil {
		// Zero is shown when the line is missing.
		m.Memory, _ = kilobytesOf(text, "MemTotal:")
	}
	return m
}

func cpuModel(cpuinfo []byte, unknown string) string {
	for line := range strings.Lines(string(cpuinfo)) {
		name, value, ok := strings.Cut(line, ":")
		if ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return unknown
}

func (m machine) String() string {
	return fmt.Sprintf("%s, %d CPUs, %.1f GiB, Linux %s, %s", m.CPU, m.CPUs, float64(m.Memory)/(1<<30), m.Kernel, m.Go)
}

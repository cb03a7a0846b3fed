package config

import "time"

// Defaults of what holds for the whole process.
const (
	defaultLogLevel       = "info"
	defaultLogFormat      = "auto" // console on a terminal, else json
	defaultAccessLogPath  = "stdout"
	defaultAccessInterval = time.Minute // of periodic records

	// defaultDrainTimeout is long because TCP connections are: most have
	// ended by themselves by then.
	defaultDrainTimeout = 10 * time.Minute

	// maxWorkers is far above any machine; a number beyond it is a slip.
	maxWorkers = 4096
)

// defaults is the configuration of a process that says nothing about itself.
func defaults() *Config {
	return &Config{
		Log:       Log{Level: defaultLogLevel, Format: defaultLogFormat},
		AccessLog: AccessLog{Enabled: true, Path: defaultAccessLogPath, End: true, Interval: defaultAccessInterval},
		Runtime:   Runtime{Splice: true, DrainTimeout: defaultDrainTimeout},
		Admin:     defaultAdmin(),
	}
}

func decodeLog(b *block) Log {
	return Log{
		Level:  b.word("level", defaultLogLevel, "trace", "debug", "info", "warn", "error"),
		Format: b.word("format", defaultLogFormat, "auto", "json", "console"),
	}
}

func decodeAccessLog(b *block) AccessLog {
	a := AccessLog{
		Enabled:  b.boolean("enabled", true),
		Path:     defaultAccessLogPath,
		Interval: b.duration("interval", defaultAccessInterval),
	}
	if s, ok := b.setting("path"); ok {
		switch path, ok := s.text(`"stdout", "stderr" or the path of a file`); {
		case !ok:
		case path == "":
			s.errorf(s.at, "Invalid path", `The path is empty: write "stdout", "stderr" or the path of a file. To write no records, set enabled = false.`)
		case path == "stdout", path == "stderr":
			a.Path = path
		default:
			a.Path, a.PathHidden = b.resolve("path", path), s.secret
		}
	}
	decodeRecordTypes(b, &a)
	if a.Periodic && a.Interval < time.Second {
		b.errorf(b.attrs["interval"].Expr.Range(), "Invalid interval", "Periodic records need an interval of at least \"1s\".")
	}
	return a
}

// decodeRecordTypes reads when a record is written.
func decodeRecordTypes(b *block, a *AccessLog) {
	fields := map[string]*bool{"start": &a.Start, "connected": &a.Connected, "periodic": &a.Periodic, "end": &a.End}
	words := []string{"start", "connected", "periodic", "end"}
	failures := b.failures
	types, there := listOf(b, "types", func(s setting) (string, bool) {
		word, ok := s.text(quotedOr(words))
		if ok && fields[word] == nil {
			s.invalid(quotedOr(words), errUnknownWord(word, words))
			return "", false
		}
		return word, ok
	})
	for _, word := range types {
		*fields[word] = true
	}
	switch {
	case !there:
		a.End = true
	case len(types) == 0 && a.Enabled && b.failures == failures:
		b.warnf(b.attrs["types"].Expr.Range(), "No record types", "No record will be written. Write types = [\"end\"], or enabled = false if that is meant.")
	}
}

func decodeRuntime(b *block) Runtime {
	r := Runtime{
		Workers:        b.integer("workers", 0, 0, maxWorkers),
		Splice:         b.word("splice", "auto", "auto", "off") == "auto",
		MaxConnections: decodeMaxConnections(b),
		Watch:          b.boolean("watch", false),
		DrainTimeout:   b.duration("drain_timeout", defaultDrainTimeout),
		ReadinessDelay: b.duration("readiness_delay", 0),
	}
	if s, ok := b.setting("pid_file"); ok {
		// An empty path is none, as in the defaults.
		if path, ok := s.text("the path of a file"); ok && path != "" {
			r.PIDFile, r.PIDFileHidden = b.resolve("pid_file", path), s.secret
		}
	}
	return r
}

// Defaults of TCP keep-alive: a peer that vanished is noticed after two
// minutes (idle + interval * probes), which is before most firewalls forget
// an idle connection.
const (
	defaultKeepaliveIdle     = 60 * time.Second
	defaultKeepaliveInterval = 15 * time.Second
	defaultKeepaliveProbes   = 4
	maxKeepaliveProbes       = 127 // TCP_KEEPCNT
)

// decodeKeepalive reads the tcp_keepalive block of b, which may be absent.
func decodeKeepalive(b *block) Keepalive {
	k, _ := b.one("tcp_keepalive")
	return readKeepalive(k)
}

func readKeepalive(k *block) Keepalive {
	return Keepalive{
		Enabled:  k.boolean("enabled", true),
		Idle:     k.seconds("idle", defaultKeepaliveIdle),
		Interval: k.seconds("interval", defaultKeepaliveInterval),
		Probes:   k.integer("probes", defaultKeepaliveProbes, 1, maxKeepaliveProbes),
	}
}

package main

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"sluice/config"
	"sluice/proxy"
)

// reloader reads the configuration again and has the gateway run it. Any
// goroutine may call its methods; one reload runs at a time.
type reloader struct {
	log     zerolog.Logger
	flags   *configFlags
	gateway gateway
	applied func(*config.Config) []string // takes over what is not the gateway's, and says what it cannot; nil: there is nothing

	supervision *supervision // is told; may be nil

	mu       sync.Mutex // held while a reload runs; guards what follows
	pidFile  *pidFile   // nil: none
	held     bool       // the gateway is being handed over
	watching configWatch
}

// badConfiguration is a configuration with errors in it.
type badConfiguration struct {
	path  string
	diags *config.Diagnostics
}

// Error gives all diagnostics, as validate would.
func (e *badConfiguration) Error() string {
	var text strings.Builder
	if err := e.diags.WriteText(&text, answerWidth, false); err != nil {
		panic("BUG: writing into memory: " + err.Error())
	}
	return text.String() + notValid(e.path, e.diags).Error()
}

// answerWidth is how wide diagnostics are written for who asked from afar.
const answerWidth = 80

// reload reads the configuration and makes the gateway run it, all of it or,
// with an error, nothing of it. Both is said in the log, too. by is who asked.
func (r *reloader) reload(by string) (*proxy.Applied, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.reloadLocked(by)
}

func (r *reloader) reloadLocked(by string) (*proxy.Applied, error) {
	if r.held {
		return nil, proxy.ErrHandingOver
	}
	r.supervision.reloading()
	defer r.supervision.serving()
	began := time.Now()
	var applied *proxy.Applied
	var err error
	aside(func() { applied, err = r.replace() })
	if err != nil {
		r.tell(by, err)
		return nil, err
	}
	for _, text := range applied.Unapplied {
		r.log.Warn().Msg(text)
	}
	r.log.Info().Str("by", by).Int("generation", applied.Generation).
		Strs("opened", applied.Opened).Strs("closed", applied.Closed).Int("connections_leaving", applied.Leaving).
		Dur("duration_ms", time.Since(began)).Msg("reloaded")
	return applied, nil
}

func (r *reloader) replace() (*proxy.Applied, error) {
	sources := &config.Sources{}
	path, cfg, diags, err := r.flags.loadFrom(sources)
	switch {
	case err != nil:
		return nil, err
	case cfg == nil:
		r.follow(sources, nil)
		return nil, &badConfiguration{path, diags}
	}
	logWarnings(r.log, diags)
	applied, err := r.gateway.Apply(cfg)
	if err != nil {
		r.follow(sources, nil)
		return nil, err
	}
	r.follow(sources, cfg)
	r.movePIDFile(cfg.Runtime)
	if r.applied != nil {
		applied.Unapplied = append(applied.Unapplied, r.applied(cfg)...)
	}
	return applied, nil
}

// movePIDFile puts the file where the configuration has it now.
func (r *reloader) movePIDFile(spec config.Runtime) {
	before := ""
	if r.pidFile != nil {
		before = r.pidFile.path
	}
	if spec.PIDFile == before {
		return
	}
	next, err := preparePIDFile(spec.PIDFile, spec.PIDFileHidden)
	if err == nil {
		err = next.publish()
	}
	if err == nil {
		err = r.pidFile.remove()
		r.pidFile = next
	}
	if err != nil {
		r.log.Error().Err(err).Msg("the new pid_file is not in use")
	}
}

// removePIDFile removes the file at the end, if it is still this process's.
func (r *reloader) removePIDFile() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.pidFile.remove()
}

// hold waits for the reload under way, and refuses others until release.
func (r *reloader) hold() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.held = true
}

func (r *reloader) release() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.held = false
}

// answer is reload for who asks over the admin API.
func (r *reloader) answer() (string, error) {
	applied, err := r.reload("admin API")
	if err != nil {
		return "", err
	}
	text := fmt.Sprintf("reloaded: generation %d", applied.Generation)
	if len(applied.Opened) > 0 {
		text += ", opened " + strings.Join(applied.Opened, " ")
	}
	if len(applied.Closed) > 0 {
		text += ", closed " + strings.Join(applied.Closed, " ")
	}
	if applied.Leaving > 0 {
		text += ", " + count(applied.Leaving, "connection") + " leaving"
	}
	return strings.Join(append([]string{text}, applied.Unapplied...), "; "), nil
}

// tell says in the log, and to who asks the gateway, why nothing was changed.
func (r *reloader) tell(by string, err error) {
	if bad, ok := errors.AsType[*badConfiguration](err); ok {
		for _, d := range bad.diags.All() {
			if d.Severity == "error" {
				logDiagnostic(r.log.Error(), d)
			}
		}
		err = notValid(bad.path, bad.diags)
	}
	r.gateway.NotReloaded(err)
	r.log.Error().Err(err).Str("by", by).Msg("not reloaded: the gateway goes on as it was")
}

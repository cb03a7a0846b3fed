package main

import (
	"bytes"
	"slices"
	"sync/atomic"

	"sluice/config"
	"sluice/config/filewatch"
	"sluice/tlsutil"
)

// adminWatch takes over the admin token and certificate when their files change,
// as the gateway does with those of listeners.
type adminWatch struct {
	reloader *reloader
	running  *atomic.Pointer[config.Config] // changed only while the reloader's lock is held
	apply    func(*config.Config)           // has the admin server use what is in it
	watcher  *filewatch.Watcher
	told     bool // that the files cannot be used
}

// watchAdmin begins to watch the files of the configuration that runs.
func watchAdmin(r *reloader, running *atomic.Pointer[config.Config], apply func(*config.Config)) *adminWatch {
	w := &adminWatch{reloader: r, running: running, apply: apply}
	w.watcher = filewatch.New(filewatch.Options{}, w.changed)
	w.follow()
	return w
}

// follow watches what the running configuration names. The reloader's lock is
// held, or nobody else knows of w.
func (w *adminWatch) follow() {
	admin := w.running.Load().Admin
	w.watcher.Watch(admin.Files())
}

// changed is called by the watcher. Files that cannot be used, as long as they
// are being replaced, leave in use what was.
func (w *adminWatch) changed(paths []string) (again []string) {
	w.reloader.mu.Lock()
	defer w.reloader.mu.Unlock()
	was := w.running.Load()
	next := *was
	var err error
	if next.Admin, err = was.Admin.Reread(); err != nil {
		if !w.told {
			// The error may have a path in it that is not to be shown.
			w.reloader.log.Warn().Msg("the token or the certificate of the admin server cannot be read any more: what was in use stays so; \"sluice validate\" says what is wrong")
		}
		w.told = true
		return paths
	}
	w.told = false
	if sameSecrets(&was.Admin, &next.Admin) {
		return nil
	}
	w.running.Store(&next)
	w.apply(&next)
	w.reloader.log.Info().Msg("the admin server uses what its files have in them now")
	return nil
}

// sameSecrets tells whether two readings of the same files gave the same.
func sameSecrets(a, b *config.Admin) bool {
	same := a.Token == b.Token || a.Token != nil && b.Token != nil && *a.Token == *b.Token
	return same && slices.EqualFunc(a.Certificates, b.Certificates, func(a, b *tlsutil.Certificate) bool {
		return slices.EqualFunc(a.Certificate.Certificate, b.Certificate.Certificate, bytes.Equal)
	})
}

// close returns when nothing is watched any more.
func (w *adminWatch) close() { w.watcher.Close() }

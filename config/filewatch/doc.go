// Package filewatch tells when files may have other content.
//
// Whoever uses a file wants to know that it was replaced, and files are replaced
// in many ways: written in place, renamed over, removed and made again, or reached
// through a symbolic link that is swapped, be it the file's own, one on the way to
// it (as when a release is made the current one) or both (as in the volumes of
// Kubernetes, where ..data is swapped). A [Watcher] follows each path the way the
// kernel does and watches every directory in which a name decides where it leads.
//
//	w := filewatch.New(filewatch.Options{}, func(changed []string) (again []string) {
//		...
//		return nil
//	})
//	w.Watch([]string{"/etc/sluice/api.pem", "/etc/sluice/api.key"})
//	defer w.Close()
//
// # What may be relied on
//
// Each path is reported once when it begins to be watched, since it may have been
// replaced after it was read and before that; and again whenever it is another
// file, or one of another size or time, than when it was reported last. It may be
// reported when nothing has changed, so that whoever is told compares what is in
// it. A report waits until changes have settled for 50 ms, but no longer than 1 s:
// what is written in place is not whole at its first notice. That is a courtesy
// and no promise, and a reader must be able to tell half a file from a whole one,
// and keep what it has.
//
// A directory may be watched, too: it is reported when names in it come and go.
//
// # Limits
//
// The notices are inotify's. Where there are none (the limits on instances and
// watches are low on some systems, network file systems have none, and a directory
// may not be there yet, or be replaced as a whole) the paths are looked at every
// five seconds all the same; less often when there are so many that this would be
// felt. Lost notices (IN_Q_OVERFLOW) are made up for by looking.
package filewatch

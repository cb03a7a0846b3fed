package filewatch

import (
	"os"
	"time"
)

// clockTick is more than the resolution of a file's times.
const clockTick = 20 * time.Millisecond

// Stamp tells one content of a file from another without reading it.
type Stamp struct {
	info os.FileInfo // nil: there is no file
	at   time.Time
}

// StampOf gives the stamp of what is about to be read.
func StampOf(path string) Stamp {
	at := time.Now()
	info, err := os.Stat(path)
	if err != nil {
		return Stamp{nil, at}
	}
	return Stamp{info, at}
}

// Holds tells whether what was read after s was taken is what stood there when now
// was. What was read as soon as it was written may have been written again at the
// same time, as the file's clock has it: then it does not say so.
func (s Stamp) Holds(now Stamp) bool {
	if s.info == nil || now.info == nil {
		return s.info == now.info
	}
	return os.SameFile(s.info, now.info) && s.info.Size() == now.info.Size() && s.info.ModTime().Equal(now.info.ModTime()) &&
		s.at.Sub(s.info.ModTime()).Abs() >= clockTick
}

// Written is when the file was written last; zero: there is none.
func (s Stamp) Written() time.Time {
	if s.info == nil {
		return time.Time{}
	}
	return s.info.ModTime()
}

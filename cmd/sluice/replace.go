package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// replaceFile gives a file new contents in one step: whoever reads it, at
// whatever moment, finds the old ones or the new ones. Owner and permissions
// stay, and so does a symbolic link to the file.
func replaceFile(name string, contents []byte) error {
	name, err := filepath.EvalSymlinks(name)
	if err != nil {
		return err
	}
	info, err := os.Stat(name)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+".*")
	if err != nil {
		return err
	}
	if err := fill(f, contents, info); err != nil {
		f.Close()
		os.Remove(f.Name())
		return err
	}
	if err := os.Rename(f.Name(), name); err != nil {
		os.Remove(f.Name())
		return err
	}
	return nil
}

// fill writes the new file to the disk, so that a machine that goes down right
// after the rename does not come back with an empty one.
func fill(f *os.File, contents []byte, like fs.FileInfo) error {
	if _, err := f.Write(contents); err != nil {
		return err
	}
	own := like.Sys().(*syscall.Stat_t)
	if int(own.Uid) != os.Geteuid() || int(own.Gid) != os.Getegid() {
		if err := f.Chown(int(own.Uid), int(own.Gid)); err != nil {
			return fmt.Errorf("keeping its owner: %w", err)
		}
	}
	if err := f.Chmod(like.Mode().Perm()); err != nil { // after Chown, which may clear bits
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	return f.Close()
}

package main

import (
	"errors"
	"fmt"
	"syscall"
	"unsafe"
)

// What the kernel's uapi headers call these: linux/sockios.h, linux/ethtool.h.
const (
	ioctlEthtool  = 0x8946 // SIOCETHTOOL
	ethtoolSetTSO = 0x1f   // ETHTOOL_STSO
	ethtoolSetGRO = 0x2c   // ETHTOOL_SGRO
)

// runPlainCard is the subcommand "plaincard INTERFACE...": it makes veth
// devices of its network namespace work as a simple network card does, which
// the ip program cannot. Every packet that is sent has at most the MTU's bytes,
// for the card does not segment; what is received is merged (GRO) by its
// driver. Left alone, a veth carries "packets" of 64 KB.
func runPlainCard(args []string) error {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	for _, name := range args {
		e := errors.Join(setFeature(fd, name, ethtoolSetTSO, 0), setFeature(fd, name, ethtoolSetGRO, 1))
		if e != nil {
			err = errors.Join(err, fmt.Errorf("setting offloads of %s: %w", name, e))
		}
	}
	return errors.Join(err, syscall.Close(fd))
}

// setFeature is one ethtool ioctl with a value.
func setFeature(fd int, name string, command, data uint32) error {
	value := struct{ command, data uint32 }{command, data}
	var request struct {
		name [syscall.IFNAMSIZ]byte
		data unsafe.Pointer
		_    [16]byte // the union is larger than a pointer
	}
	if copy(request.name[:syscall.IFNAMSIZ-1], name) != len(name) {
		return syscall.ENAMETOOLONG
	}
	request.data = unsafe.Pointer(&value)
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, uintptr(fd), ioctlEthtool, uintptr(unsafe.Pointer(&request))); errno != 0 {
		return errno
	}
	return nil
}

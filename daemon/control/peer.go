package control

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/user"
	"slices"
	"strconv"
	"syscall"
	"unsafe"
)

// Peer is the process at the other end of the socket, as the kernel knows it.
type Peer struct {
	UID    uint32
	Groups []uint32
}

// soPeerGroups is SO_PEERGROUPS of socket(7), which package syscall lacks.
const soPeerGroups = 59

// mayControl tells whether the peer is root, the daemon's own user, or in the socket's group. The mode of the socket
// says the same; this holds also when somebody has changed the mode.
func (p Peer) mayControl(own, socketGroup uint32) bool {
	return p.UID == 0 || p.UID == own || slices.Contains(p.Groups, socketGroup)
}

func peerOf(conn net.Conn) (Peer, error) {
	unix, ok := conn.(*net.UnixConn)
	if !ok {
		return Peer{}, errors.New("asking who is connected: not a Unix socket")
	}
	raw, err := unix.SyscallConn()
	if err != nil {
		return Peer{}, fmt.Errorf("asking who is connected: %w", err)
	}
	var peer Peer
	var asked error
	if err := raw.Control(func(fd uintptr) { peer, asked = askPeer(fd) }); err != nil {
		return Peer{}, fmt.Errorf("asking who is connected: %w", err)
	}
	if asked != nil {
		return Peer{}, fmt.Errorf("asking who is connected: %w", asked)
	}
	return peer, nil
}

func askPeer(fd uintptr) (Peer, error) {
	credentials, err := syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED)
	if err != nil {
		return Peer{}, err
	}
	groups := make([]uint32, 1024)
	size := uint32(len(groups) * 4)
	_, _, errno := syscall.Syscall6(syscall.SYS_GETSOCKOPT, fd, syscall.SOL_SOCKET, soPeerGroups,
		uintptr(unsafe.Pointer(&groups[0])), uintptr(unsafe.Pointer(&size)), 0)
	if errno != 0 {
		return Peer{}, errno
	}
	return Peer{UID: credentials.Uid, Groups: append(groups[:size/4], credentials.Gid)}, nil
}

// socketGroup is the group that the socket file belongs to.
func socketGroup(listener net.Listener) (uint32, error) {
	info, err := os.Stat(listener.Addr().String())
	if err != nil {
		return 0, fmt.Errorf("reading the socket's group: %w", err)
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, errors.New("reading the socket's group: this system has none")
	}
	return stat.Gid, nil
}

// ShareWithGroup lets the members of a group use the file at path, as its mode says; an empty name leaves the daemon's own group.
func ShareWithGroup(path, name string) error {
	if name == "" {
		return nil
	}
	group, err := user.LookupGroup(name)
	if err != nil {
		return fmt.Errorf("sharing %s: %w", path, err)
	}
	id, err := strconv.Atoi(group.Gid)
	if err != nil {
		return fmt.Errorf("sharing %s: group %s has the number %q", path, name, group.Gid)
	}
	if err := os.Chown(path, -1, id); err != nil {
		return fmt.Errorf("sharing %s: %w", path, err)
	}
	return nil
}

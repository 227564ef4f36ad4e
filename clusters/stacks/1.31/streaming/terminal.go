package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
	"k8s.io/cri-streaming/pkg/streaming/remotecommand"
)

// inTerminal runs a command on a new terminal of the container's own, so that /dev/pts inside shows
// it, owned by the container's user.
func (t *target) inTerminal(ctx context.Context, argv []string, in io.Reader, out io.Writer,
	resize <-chan remotecommand.TerminalSize,
) error {
	ours, theirs, err := openTerminal(t.Pid, t.UID)
	if err != nil {
		return err
	}
	defer ours.Close()
	// Its session must begin in the container's pid namespace: a shell that does not see the
	// terminal's process group cannot give the terminal back when it ends.
	command := t.command(append([]string{"setsid", "--ctty", "--wait", "--"}, argv...))
	command.Stdin, command.Stdout, command.Stderr = theirs, theirs, theirs
	command.Env = append(command.Env, "TERM=xterm")
	err = command.Start()
	theirs.Close()
	if err != nil {
		return err
	}
	go func() {
		for size := range resize {
			setSize(ours, size)
		}
	}()
	if in != nil {
		go io.Copy(ours, in)
	}
	shown := make(chan struct{})
	go func() {
		defer close(shown)
		if out != nil {
			io.Copy(out, ours) // ends when no process has the terminal open any more
		}
	}()
	err = wait(ctx, command)
	select {
	case <-shown:
	case <-ctx.Done():
	}
	return err
}

func openTerminal(pid, uid int) (ours, theirs *os.File, err error) {
	path := fmt.Sprintf("/proc/%d/root/dev/pts/ptmx", pid)
	ours, err = os.OpenFile(path, os.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	defer func() {
		if err != nil {
			ours.Close()
		}
	}()
	number := int(ours.Fd())
	if err = unix.IoctlSetPointerInt(number, unix.TIOCSPTLCK, 0); err != nil {
		return nil, nil, err
	}
	flags := uintptr(unix.O_RDWR | unix.O_NOCTTY | unix.O_CLOEXEC)
	other, _, code := unix.Syscall(unix.SYS_IOCTL, uintptr(number), unix.TIOCGPTPEER, flags)
	if code != 0 {
		err = code
		return nil, nil, err
	}
	theirs = os.NewFile(other, "terminal")
	if err = theirs.Chown(uid, -1); err != nil {
		theirs.Close()
		return nil, nil, err
	}
	return ours, theirs, nil
}

func setSize(terminal *os.File, size remotecommand.TerminalSize) {
	unix.IoctlSetWinsize(int(terminal.Fd()), unix.TIOCSWINSZ,
		&unix.Winsize{Row: size.Height, Col: size.Width})
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	"k8s.io/cri-streaming/pkg/streaming/remotecommand"
	utilexec "k8s.io/utils/exec"
)

// exited is how a command ended that has not ended with 0.
func exited(code int) error {
	return utilexec.CodeExitError{
		Err: fmt.Errorf("command terminated with exit code %d", code), Code: code,
	}
}

// ExecInContainer runs a command in the container, until it ends or its client has gone.
func (t *target) ExecInContainer(ctx context.Context, _, _, _ string, argv []string, in io.Reader,
	out, errs io.WriteCloser, tty bool, resize <-chan remotecommand.TerminalSize, _ time.Duration,
) error {
	if err := t.findProgram(argv); err != nil {
		return err
	}
	if tty {
		return t.inTerminal(ctx, argv, in, out, resize)
	}
	command := t.command(argv)
	// A nil interface and a nil stream differ: os/exec gives the former /dev/null.
	if out != nil {
		command.Stdout = out
	}
	if errs != nil {
		command.Stderr = errs
	}
	if in != nil {
		stdin, err := command.StdinPipe()
		if err != nil {
			return err
		}
		// Not command.Stdin: Wait would wait for the client to end what the command does not read.
		go func() {
			io.Copy(stdin, in)
			stdin.Close()
		}()
	}
	if err := command.Start(); err != nil {
		return err
	}
	return wait(ctx, command)
}

// command returns what runs a command in the container.
func (t *target) command(argv []string) *exec.Cmd {
	words := append(append([]string{}, t.Enter...), argv...)
	command := exec.Command(words[0], words[1:]...)
	command.Env = t.Env
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
	return command
}

// wait returns how a command ended. All that it started ends when its client goes.
func wait(ctx context.Context, command *exec.Cmd) error {
	over := make(chan struct{})
	defer close(over)
	go func() {
		select {
		case <-ctx.Done():
			end(command.Process.Pid)
		case <-over:
		}
	}()
	return ending(command.Wait())
}

// end kills a command and all that it started. What entered the container for it has one child, which
// has a process group of its own where it has a terminal.
func end(pid int) {
	children, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	syscall.Kill(-pid, syscall.SIGKILL)
	for _, child := range strings.Fields(string(children)) {
		if number, err := strconv.Atoi(child); err == nil {
			syscall.Kill(number, syscall.SIGKILL)
			syscall.Kill(-number, syscall.SIGKILL)
		}
	}
}

func ending(err error) error {
	var ended *exec.ExitError
	if !errors.As(err, &ended) {
		return err
	}
	status := ended.Sys().(syscall.WaitStatus)
	if status.Signaled() {
		return exited(128 + int(status.Signal()))
	}
	return exited(status.ExitStatus())
}

// findProgram tells that there is no such program in the container, in the words of runc.
func (t *target) findProgram(argv []string) error {
	if len(argv) == 0 {
		return errors.New("no command was given")
	}
	root, err := unix.Open(fmt.Sprintf("/proc/%d/root", t.Pid), unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("the container has ended: %w", err)
	}
	defer unix.Close(root)
	places := []string{""}
	if !strings.Contains(argv[0], "/") {
		places = strings.Split(t.env("PATH"), ":")
	}
	for _, place := range places {
		if t.isProgram(root, path.Join(place, argv[0])) {
			return nil
		}
	}
	if len(places) == 1 && places[0] == "" {
		return fmt.Errorf("exec: %q: stat %s: no such file or directory", argv[0], argv[0])
	}
	return fmt.Errorf("exec: %q: executable file not found in $PATH", argv[0])
}

func (t *target) isProgram(root int, name string) bool {
	how := unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT}
	file, err := unix.Openat2(root, name, &how)
	if err != nil {
		return false
	}
	defer unix.Close(file)
	var about unix.Stat_t
	if err := unix.Fstat(file, &about); err != nil {
		return false
	}
	return about.Mode&unix.S_IFMT == unix.S_IFREG && about.Mode&0o111 != 0
}

func (t *target) env(name string) string {
	for _, one := range t.Env {
		if value, ok := strings.CutPrefix(one, name+"="); ok {
			return value
		}
	}
	return "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
}

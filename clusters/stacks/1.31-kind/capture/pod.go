package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// enter moves this thread, which stays with its goroutine, into a process's network namespace.
func enter(process string) error {
	runtime.LockOSThread()
	namespace, err := os.Open(filepath.Join(process, "ns/net"))
	if err != nil {
		return err
	}
	defer namespace.Close()
	if err := unix.Setns(int(namespace.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("entering the pod's network namespace: %w", err)
	}
	return nil
}

// processOf finds a process of the pod by the name of its control group, which holds the pod's
// uid: with dashes (cgroupfs), or underscores (systemd).
func processOf(proc, uid string) (string, error) {
	groups, err := filepath.Glob(filepath.Join(proc, "[0-9]*/cgroup"))
	if err != nil {
		return "", err
	}
	for _, path := range groups {
		if ofPod(path, uid) {
			return filepath.Dir(path), nil
		}
	}
	return "", fmt.Errorf("no process of pod %s on this node", uid)
}

func ofPod(cgroup, uid string) bool {
	text, err := os.ReadFile(cgroup)
	if err != nil {
		return false // it has ended meanwhile
	}
	dashed, underscored := []byte("pod"+uid), []byte("pod"+strings.ReplaceAll(uid, "-", "_"))
	return bytes.Contains(text, dashed) || bytes.Contains(text, underscored)
}

func readTimespec(data []byte) time.Time {
	seconds := binary.NativeEndian.Uint64(data[0:])
	nanoseconds := binary.NativeEndian.Uint64(data[8:])
	return time.Unix(int64(seconds), int64(nanoseconds))
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"

	"golang.org/x/sys/unix"
	"k8s.io/cri-streaming/pkg/streaming/remotecommand"
)

// AttachContainer shows what the container writes from now on, and gives it what the client
// writes, until the container ends or the client has gone. As with a container runtime, the end of
// the client's input ends the attachment, unless it is the end of the container's input too.
func (t *target) AttachContainer(ctx context.Context, _, _, _ string, in io.Reader,
	out, errs io.WriteCloser, tty bool, resize <-chan remotecommand.TerminalSize,
) error {
	if out == nil {
		out = errs // the container's output is one stream
	}
	ctx, detach := context.WithCancel(ctx)
	defer detach()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://kubelet"+t.Log, nil)
	if err != nil {
		return err
	}
	answer, err := t.kubelet.client.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if in != nil {
		if err := t.feed(in, detach); err != nil {
			return err
		}
	}
	if tty {
		go t.resize(resize)
	}
	if out == nil {
		_, err = io.Copy(io.Discard, answer.Body)
	} else {
		_, err = io.Copy(out, answer.Body)
	}
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// feed gives the container what the client writes. Where the container reads once only, its input
// ends with the first client's.
func (t *target) feed(in io.Reader, detach func()) error {
	if t.Stdin == "" {
		return errors.New("the container's stdin is not open: its spec has no `stdin: true`")
	}
	pipe, err := os.OpenFile(t.Stdin, os.O_WRONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("the container's stdin is closed: %w", err)
	}
	go func() {
		defer pipe.Close()
		io.Copy(pipe, in)
		if t.StdinOnce {
			t.closeStdin()
		} else {
			detach()
		}
	}()
	return nil
}

func (t *target) closeStdin() {
	request, err := http.NewRequest(http.MethodPost, "http://kubelet"+t.CloseStdin, nil)
	if err == nil {
		err = t.kubelet.ask(request, nil)
	}
	if err != nil {
		log.Printf("closing stdin: %v", err)
	}
}

func (t *target) resize(sizes <-chan remotecommand.TerminalSize) {
	terminal, err := os.OpenFile(fmt.Sprintf("/proc/%d/root/dev/pts/0", t.Pid),
		os.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return
	}
	defer terminal.Close()
	for size := range sizes {
		setSize(terminal, size)
	}
}

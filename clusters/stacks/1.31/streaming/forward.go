package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"
)

// forwarder forwards to a pod until its client has gone, which the library does not tell.
type forwarder struct {
	*target
	ctx context.Context
}

// PortForward joins a client's stream with a connection to the pod's own localhost, as a kubelet
// does: past the sidecar, whose rules leave connections over `lo` to the pod itself alone.
func (f forwarder) PortForward(_ context.Context, _, _ string, port int32,
	client io.ReadWriteCloser,
) error {
	defer client.Close()
	server, err := dialIn(f.Network, port)
	if err != nil {
		return fmt.Errorf("failed to connect to localhost:%d inside namespace %q: %w", port, f.Network, err)
	}
	defer server.Close()
	sent := make(chan error, 1)
	go func() {
		_, err := io.Copy(server, client)
		server.(*net.TCPConn).CloseWrite()
		sent <- err
	}()
	received := make(chan error, 1)
	go func() {
		_, err := io.Copy(client, server)
		received <- err
	}()
	select {
	case err = <-received: // the server has said all
	case <-f.ctx.Done():
	}
	return err
}

// dialIn connects to localhost in another network namespace. A socket belongs for good to the
// namespace of the thread that makes it; the thread is never used for anything else.
func dialIn(namespace string, port int32) (net.Conn, error) {
	type made struct {
		conn net.Conn
		err  error
	}
	result := make(chan made, 1)
	go func() {
		runtime.LockOSThread() // and not unlocked: the thread ends with this function
		file, err := os.Open(namespace)
		if err == nil {
			defer file.Close()
			err = unix.Setns(int(file.Fd()), unix.CLONE_NEWNET)
		}
		if err != nil {
			result <- made{nil, err}
			return
		}
		conn, err := net.Dial("tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(int(port))))
		if err != nil {
			var err6 error
			conn, err6 = net.Dial("tcp6", net.JoinHostPort("::1", strconv.Itoa(int(port))))
			if err6 != nil {
				result <- made{nil, fmt.Errorf("IPv4: %w, IPv6: %w", err, err6)}
				return
			}
		}
		result <- made{conn, nil}
	}()
	done := <-result
	return done.conn, done.err
}

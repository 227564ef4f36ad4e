package main

import (
	"context"
	"net"
	"sync"
)

// A request is cancelled when its connection ends. Go's server does that too, but no more once a
// connection is another protocol's; what runs for a client that has gone must end all the same.

type connKey struct{}

// watched is a listener whose connections tell when their other end has gone.
type watched struct{ net.Listener }

func (w watched) Accept() (net.Conn, error) {
	conn, err := w.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &watchedConn{Conn: conn, gone: make(chan struct{})}, nil
}

type watchedConn struct {
	net.Conn
	once sync.Once
	gone chan struct{}
}

func (c *watchedConn) Read(into []byte) (int, error) {
	count, err := c.Conn.Read(into)
	if timeout, ok := err.(net.Error); err != nil && !(ok && timeout.Timeout()) {
		c.tell()
	}
	return count, err
}

func (c *watchedConn) Close() error {
	c.tell()
	return c.Conn.Close()
}

func (c *watchedConn) tell() { c.once.Do(func() { close(c.gone) }) }

func connContext(ctx context.Context, conn net.Conn) context.Context {
	if wrapped, ok := conn.(interface{ NetConn() net.Conn }); ok {
		conn = wrapped.NetConn()
	}
	return context.WithValue(ctx, connKey{}, conn)
}

// untilGone returns a context that ends when the request's connection does.
func untilGone(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	if conn, ok := ctx.Value(connKey{}).(*watchedConn); ok {
		go func() {
			select {
			case <-conn.gone:
				cancel()
			case <-ctx.Done():
			}
		}()
	}
	return ctx, cancel
}

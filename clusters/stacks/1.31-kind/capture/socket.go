package main

import (
	"fmt"
	"net"
	"time"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

const (
	wantedBuffer = 64 << 20 // bytes; granted in full to one who may administer the network
	etherIPv4    = 0x0800
	etherIPv6    = 0x86dd
	protocolTCP  = 6
	protocolUDP  = 17
)

type packetSocket struct {
	fd       int
	loopback bool
	buffer   []byte
	control  []byte
}

// open returns a socket that receives every packet of these ports, of TCP or UDP, at an interface,
// in both directions. It is bound only after its filter is in place: what it holds has passed it.
func open(name string, ports []uint16) (*packetSocket, error) {
	iface, err := net.InterfaceByName(name)
	if err != nil {
		return nil, err
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("a packet socket (it takes CAP_NET_RAW): %w", err)
	}
	filter, err := compile(ports)
	if err != nil {
		return nil, err
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if err := unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &program); err != nil {
		return nil, fmt.Errorf("attaching the filter: %w", err)
	}
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, wantedBuffer) != nil {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, wantedBuffer); err != nil {
			return nil, err
		}
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1); err != nil {
		return nil, err
	}
	address := unix.SockaddrLinklayer{Protocol: networkOrder(unix.ETH_P_ALL), Ifindex: iface.Index}
	if err := unix.Bind(fd, &address); err != nil {
		return nil, fmt.Errorf("binding to %s: %w", name, err)
	}
	return &packetSocket{
		fd:       fd,
		loopback: iface.Flags&net.FlagLoopback != 0,
		buffer:   make([]byte, snapLength),
		control:  make([]byte, 128),
	}, nil
}

// next returns a packet, when the kernel saw it and its whole length, or nil when none came in time.
func (s *packetSocket) next(patience time.Duration) ([]byte, time.Time, int, error) {
	for {
		waiting := []unix.PollFd{{Fd: int32(s.fd), Events: unix.POLLIN}}
		ready, err := unix.Poll(waiting, int(patience.Milliseconds()))
		if err == unix.EINTR {
			continue
		}
		if err != nil || ready == 0 {
			return nil, time.Time{}, 0, err
		}
		length, size, _, from, err := unix.Recvmsg(s.fd, s.buffer, s.control, unix.MSG_TRUNC)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return nil, time.Time{}, 0, err
		}
		link, known := from.(*unix.SockaddrLinklayer)
		if s.loopback && known && link.Pkttype == unix.PACKET_OUTGOING {
			continue // seen again as it comes in
		}
		stamp, err := stampIn(s.control[:size])
		return s.buffer[:min(length, len(s.buffer))], stamp, length, err
	}
}

func stampIn(control []byte) (time.Time, error) {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return time.Time{}, err
	}
	for i := range messages {
		if messages[i].Header.Type == unix.SCM_TIMESTAMPNS {
			return readTimespec(messages[i].Data), nil
		}
	}
	return time.Time{}, fmt.Errorf("a packet came without its time")
}

func (s *packetSocket) close() {
	unix.Close(s.fd)
}

// dropped says how many packets had no room in the buffer.
func (s *packetSocket) dropped() (int, error) {
	told, err := unix.GetsockoptTpacketStats(s.fd, unix.SOL_PACKET, unix.PACKET_STATISTICS)
	if err != nil {
		return 0, err
	}
	return int(told.Drops), nil
}

// compile is `port A or port B ...`, of TCP and UDP, as classic BPF: IPv4 without later fragments,
// IPv6 without extension headers, which is what tcpdump's own compiler makes of it.
func compile(ports []uint16) ([]unix.SockFilter, error) {
	const source, destination = 0, 1
	program := []bpf.Instruction{
		bpf.LoadAbsolute{Off: 12, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: etherIPv6, SkipTrue: 15},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: etherIPv4, SkipTrue: 1},
		bpf.RetConstant{Val: 0},
		bpf.LoadAbsolute{Off: 23, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: protocolTCP, SkipTrue: 2},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: protocolUDP, SkipTrue: 1},
		bpf.RetConstant{Val: 0},
		bpf.LoadAbsolute{Off: 20, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpBitsNotSet, Val: 0x1fff, SkipTrue: 1},
		bpf.RetConstant{Val: 0},
		bpf.LoadMemShift{Off: 14},
		bpf.LoadIndirect{Off: 14, Size: 2},
		bpf.StoreScratch{Src: bpf.RegA, N: source},
		bpf.LoadIndirect{Off: 16, Size: 2},
		bpf.StoreScratch{Src: bpf.RegA, N: destination},
		bpf.Jump{Skip: 8},
		bpf.LoadAbsolute{Off: 20, Size: 1}, // IPv6
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: protocolTCP, SkipTrue: 2},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: protocolUDP, SkipTrue: 1},
		bpf.RetConstant{Val: 0},
		bpf.LoadAbsolute{Off: 54, Size: 2},
		bpf.StoreScratch{Src: bpf.RegA, N: source},
		bpf.LoadAbsolute{Off: 56, Size: 2},
		bpf.StoreScratch{Src: bpf.RegA, N: destination},
	}
	for _, which := range []int{source, destination} {
		program = append(program, bpf.LoadScratch{Dst: bpf.RegA, N: which})
		for _, port := range ports {
			program = append(program,
				bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: uint32(port), SkipTrue: 1},
				bpf.RetConstant{Val: snapLength})
		}
	}
	program = append(program, bpf.RetConstant{Val: 0})
	raw, err := bpf.Assemble(program)
	if err != nil {
		return nil, err
	}
	filter := make([]unix.SockFilter, len(raw))
	for i, one := range raw {
		filter[i] = unix.SockFilter{Code: one.Op, Jt: one.Jt, Jf: one.Jf, K: one.K}
	}
	return filter, nil
}

func networkOrder(value uint16) uint16 {
	return value<<8 | value>>8 // every machine that this is built for is little-endian
}

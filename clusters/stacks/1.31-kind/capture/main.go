// Command lab-capture records the packets of some ports at one interface, as pcap on stdout,
// until stdin ends. On a node it serves many captures at a time, of any pods: it changes nothing in
// a pod, but enters the network namespace of one of its processes, found by the pod's uid in /proc,
// and opens a packet socket there. It also asks servers on a pod's localhost.
//
// For one capture it says "listening on IFACE" on stderr when no packet can be missed any more, and at the end, as
// tcpdump does, how many packets it wrote and how many the kernel dropped for want of room.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

func main() {
	iface := flag.String("i", "eth0", "interface")
	serving := flag.Bool("serve", false, "on a node: answer requests on stdin, see serve.go")
	ports := flag.String("ports", "", "ports of TCP or UDP, comma-separated; only their packets are recorded")
	flag.Parse()
	act := func() error { return run(*iface, *ports) }
	if *serving {
		act = serve
	}
	if err := act(); err != nil {
		fmt.Fprintf(os.Stderr, "lab-capture: %v\n", err)
		os.Exit(1)
	}
}

func run(iface, listed string) error {
	ports, err := parsePorts(listed)
	if err != nil {
		return err
	}
	socket, err := open(iface, ports)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(os.Stdout)
	if _, err := out.Write(fileHeader()); err != nil {
		return err
	}
	if err := out.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "listening on %s\n", iface)
	var over atomic.Bool
	go func() {
		io.Copy(io.Discard, os.Stdin)
		over.Store(true)
	}()
	captured, err := record(socket, out, &over)
	if err != nil {
		return err
	}
	dropped, err := socket.dropped()
	if err != nil {
		return err
	}
	fmt.Fprint(os.Stderr, summary(captured, dropped))
	return nil
}

func summary(captured, dropped int) string {
	return fmt.Sprintf("%d packets captured\n%d packets dropped by kernel\n", captured, dropped)
}

// record writes packets until told that it is over and nothing more is waiting.
func record(from *packetSocket, to *bufio.Writer, over *atomic.Bool) (int, error) {
	captured := 0
	for {
		ending := over.Load() // asked before looking: what came before the end is still read
		packet, stamp, length, err := from.next(20 * time.Millisecond)
		if err != nil {
			return captured, err
		}
		if packet == nil {
			if err := to.Flush(); err != nil {
				return captured, err
			}
			if ending {
				return captured, nil
			}
			continue
		}
		captured++
		to.Write(recordHeader(stamp, len(packet), length))
		if _, err := to.Write(packet); err != nil {
			return captured, err
		}
	}
}

func parsePorts(listed string) ([]uint16, error) {
	var ports []uint16
	for _, word := range strings.Split(listed, ",") {
		number, err := strconv.ParseUint(strings.TrimSpace(word), 10, 16)
		if err != nil {
			return nil, fmt.Errorf("%q is not a list of ports", listed)
		}
		ports = append(ports, uint16(number))
	}
	return ports, nil
}

package main

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// What an answer is; clusters/kind/node_helper.py reads the same.
const (
	listening = 'L' // no packet can be missed any more
	packets   = 'P' // a part of the pcap file
	counted   = 'C' // how many packets there were, as tcpdump says it
	answered  = 'A' // an HTTP server's status on a line, then its body
	failed    = 'E' // why there is no answer
)

const patience = 15 * time.Second

type request struct {
	ID        uint32
	Op        string // capture, stop, or get
	Pod       string
	Interface string
	Ports     []uint16
	Port      int
	Path      string
}

// server answers requests, each a line of JSON on stdin, until stdin ends. An answer is the
// request's number (4 bytes), what it is (1), the length of its content (4), and the content.
type server struct {
	mutex     sync.Mutex
	out       *bufio.Writer
	captures  map[uint32]*atomic.Bool // which of them are over
	processes map[string]string       // pod -> the folder of one of its processes
}

func serve() error {
	s := &server{
		out:       bufio.NewWriter(os.Stdout),
		captures:  map[uint32]*atomic.Bool{},
		processes: map[string]string{},
	}
	lines := json.NewDecoder(os.Stdin)
	for {
		var asked request
		if err := lines.Decode(&asked); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		if asked.Op == "capture" {
			s.captures[asked.ID] = &atomic.Bool{}
		}
		if asked.Op == "stop" {
			s.captures[asked.ID].Store(true)
			delete(s.captures, asked.ID)
			continue
		}
		go s.answer(asked, s.captures[asked.ID])
	}
}

// answer enters the pod's namespace with a thread that ends with this goroutine.
func (s *server) answer(asked request, over *atomic.Bool) {
	process, err := s.processOf(asked.Pod)
	if err == nil {
		err = enter(process)
	}
	if err == nil && asked.Op == "capture" {
		err = s.capture(asked, over)
	} else if err == nil {
		err = s.get(asked)
	}
	if err != nil {
		s.send(asked.ID, failed, []byte(err.Error()))
	}
}

func (s *server) capture(asked request, over *atomic.Bool) error {
	socket, err := open(asked.Interface, asked.Ports)
	if err != nil {
		return err
	}
	defer socket.close()
	out := bufio.NewWriterSize(part{s, asked.ID}, 1<<16)
	if _, err := out.Write(fileHeader()); err != nil {
		return err
	}
	s.send(asked.ID, listening, nil)
	captured, err := record(socket, out, over)
	if err != nil {
		return err
	}
	dropped, err := socket.dropped()
	if err != nil {
		return err
	}
	s.send(asked.ID, counted, []byte(summary(captured, dropped)))
	return nil
}

func (s *server) get(asked request) error {
	link, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", asked.Port), patience)
	if err != nil {
		return err
	}
	defer link.Close()
	link.SetDeadline(time.Now().Add(patience))
	fmt.Fprintf(link, "GET /%s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", asked.Path)
	response, err := http.ReadResponse(bufio.NewReader(link), nil)
	if err != nil {
		return err
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	s.send(asked.ID, answered, append([]byte(fmt.Sprintf("%d\n", response.StatusCode)), body...))
	return nil
}

// processOf remembers what it has found as long as that process is the pod's.
func (s *server) processOf(pod string) (string, error) {
	s.mutex.Lock()
	known := s.processes[pod]
	s.mutex.Unlock()
	if known != "" && ofPod(known+"/cgroup", pod) {
		return known, nil
	}
	found, err := processOf("/proc", pod)
	if err == nil {
		s.mutex.Lock()
		s.processes[pod] = found
		s.mutex.Unlock()
	}
	return found, err
}

func (s *server) send(id uint32, kind byte, content []byte) error {
	header := make([]byte, 9)
	binary.BigEndian.PutUint32(header[0:], id)
	header[4] = kind
	binary.BigEndian.PutUint32(header[5:], uint32(len(content)))
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.out.Write(header)
	s.out.Write(content)
	return s.out.Flush()
}

// part writes parts of one capture's pcap file.
type part struct {
	to *server
	id uint32
}

func (p part) Write(content []byte) (int, error) {
	return len(content), p.to.send(p.id, packets, content)
}

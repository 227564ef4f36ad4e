// Package served is what the database servers share: their flags, and the lines that they print.
package served

import (
	"encoding/json"
	"flag"
	"log"
	"os"
	"os/signal"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Options are the flags that each server takes.
type Options struct {
	Ports     []int
	Cert, Key string
}

// Flags reads the command line: --ports 21000-21007,21010 --cert FILE --key FILE.
func Flags() Options {
	var found Options
	ports := flag.String("ports", "", "ports to listen at, as 21000-21007,21010")
	flag.StringVar(&found.Cert, "cert", "", "certificate, where the server offers TLS of its own")
	flag.StringVar(&found.Key, "key", "", "its key")
	flag.Parse()
	for part := range strings.SplitSeq(*ports, ",") {
		first, last, ranged := strings.Cut(part, "-")
		if !ranged {
			last = first
		}
		for port := number(first); port <= number(last); port++ {
			found.Ports = append(found.Ports, port)
		}
	}
	return found
}

func number(text string) int {
	found, err := strconv.Atoi(text)
	if err != nil {
		log.Fatalf("--ports: %q is no port", text)
	}
	return found
}

// line is what a query leaves on stdout, as lab/workloads/tools/table-server leaves it.
type line struct {
	Time    float64  `json:"time"`
	Port    int      `json:"port"`
	Peer    string   `json:"peer"`
	First   string   `json:"first"`
	Saw     string   `json:"saw"`
	Markers []string `json:"markers"`
}

var (
	printing sync.Mutex
	marker   = regexp.MustCompile(`lab-[0-9a-f]{16}`)
)

// Tell prints the line of a query that has a marker in it, before its answer leaves.
func Tell(port int, peer, saw, query string) {
	markers := marker.FindAllString(query, -1)
	if markers == nil {
		return
	}
	now := float64(time.Now().UnixMicro()) / 1e6
	printing.Lock()
	defer printing.Unlock()
	_ = json.NewEncoder(os.Stdout).Encode(line{now, port, peer, "", saw, markers})
}

// UntilEnded waits for the signal to end. The first process of a pod gets none that it has not
// asked for.
func UntilEnded() {
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM, syscall.SIGINT)
	<-ended
}

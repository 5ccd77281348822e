// Command load sends orders to an order service at a constant rate and hears of their end as a subscriber of its announcements.
//
// The loop is open: an order is due at a moment that does not depend on how long earlier ones took, and its latency counts from that moment, so that a
// service that stalls cannot hide it (no coordinated omission). What was measured is printed as one JSON object; progress goes to stderr, a line a second.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"
)

type settings struct {
	target      string
	path        string
	host        string
	rate        float64
	warmup      time.Duration
	duration    time.Duration
	orders      int
	listen      string
	connections int
	timeout     time.Duration
	patience    time.Duration
	skus        int
	hot         int
	prefix      string
	tokenFile   string
	log         string
}

func read() settings {
	var s settings
	flag.StringVar(&s.target, "target", "", "host:port of the order service")
	flag.StringVar(&s.path, "path", "/orders", "what orders are posted to")
	flag.Float64Var(&s.rate, "rate", 1000, "orders a second")
	flag.DurationVar(&s.warmup, "warmup", 5*time.Second, "time in which the rate rises, before latencies count")
	flag.DurationVar(&s.duration, "duration", 60*time.Second, "time in which they count")
	flag.IntVar(&s.orders, "orders", 0, "so many orders instead of a duration")
	flag.StringVar(&s.listen, "listen", "127.0.0.1:0", "where announcements come in")
	flag.IntVar(&s.connections, "connections", 64, "connections kept alive; more orders than that wait, and their wait counts")
	flag.DurationVar(&s.timeout, "timeout", 10*time.Second, "for one answer")
	flag.DurationVar(&s.patience, "patience", 60*time.Second, "for ends after the last order")
	flag.IntVar(&s.skus, "skus", 1000, "goods that orders are spread over: SKU-0 ...")
	flag.IntVar(&s.hot, "hot", 0, "percent of orders that have SKU-0 as their first line")
	flag.StringVar(&s.prefix, "key", "bench", "first part of each Idempotency-Key")
	flag.StringVar(&s.tokenFile, "token-file", "", "bearer token that orders are sent with")
	flag.StringVar(&s.log, "log", "", "file that gets a line of JSON for each accepted order, and one for each end")
	flag.Parse()
	if s.target == "" {
		fail("-target is missing: host:port of the order service")
	}
	if s.rate <= 0 || s.connections <= 0 || s.skus <= 0 {
		fail("-rate, -connections and -skus must be above 0")
	}
	s.host = s.target
	return s
}

func fail(format string, values ...any) {
	fmt.Fprintf(os.Stderr, "load: "+format+"\n", values...)
	os.Exit(2)
}

func main() {
	s := read()
	listener, err := net.Listen("tcp", s.listen)
	if err != nil {
		fail("cannot listen on %s: %v", s.listen, err)
	}
	// Whoever starts this program subscribes the address before it says GO: the order service may have to be started with it.
	fmt.Printf("{\"listening\":\"http://%s/events\"}\n", listener.Addr())
	notes, err := newNotes(s.log)
	if err != nil {
		fail("cannot write %s: %v", s.log, err)
	}
	book := newBook(notes)
	go subscribe(listener, book)
	waitForWord()

	run := newRun(s, book, notes)
	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, syscall.SIGINT, syscall.SIGTERM)
	go func() {
		<-interrupted
		run.stop()
	}()
	run.send()
	run.awaitEnds()
	if err := notes.close(); err != nil {
		fail("cannot write %s: %v", s.log, err)
	}
	if err := json.NewEncoder(os.Stdout).Encode(run.report()); err != nil {
		fail("cannot print the report: %v", err)
	}
}

// waitForWord returns at the first byte of stdin, or at its end.
func waitForWord() {
	var one [1]byte
	_, _ = os.Stdin.Read(one[:])
}

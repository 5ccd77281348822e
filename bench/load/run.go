package main

import (
	"errors"
	"fmt"
	"math"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// order is one that is due, or was sent.
type order struct {
	number int
	due    time.Time
	counts bool
}

type run struct {
	settings settings
	book     *book
	notes    *notes
	queue    chan order
	stopped  chan struct{}
	once     sync.Once

	began    time.Time
	sent     atomic.Int64
	took     atomic.Int64
	mu       sync.Mutex
	posts    []time.Duration
	accepted span
	statuses map[string]int
}

func newRun(s settings, b *book, notes *notes) *run {
	return &run{
		settings: s,
		book:     b,
		notes:    notes,
		// Never full: an order that is due is never kept back by those before it.
		queue:    make(chan order, 1<<20),
		stopped:  make(chan struct{}),
		statuses: map[string]int{},
	}
}

func (r *run) stop() { r.once.Do(func() { close(r.stopped) }) }

// send posts every order that falls due, and returns when the last is answered.
func (r *run) send() {
	token := ""
	if r.settings.tokenFile != "" {
		text, err := os.ReadFile(r.settings.tokenFile)
		if err != nil {
			fail("cannot read the token: %v", err)
		}
		token = strings.TrimSpace(string(text))
	}
	var workers sync.WaitGroup
	for n := 0; n < r.settings.connections; n++ {
		workers.Add(1)
		go func() {
			defer workers.Done()
			c := &connection{address: r.settings.target, timeout: r.settings.timeout}
			defer c.close()
			composer := newComposer(r.settings, token)
			for o := range r.queue {
				r.post(c, composer, o)
			}
		}()
	}
	r.began = time.Now()
	done := make(chan struct{})
	go r.progress(done)
	r.schedule()
	close(r.queue)
	workers.Wait()
	close(done)
}

// schedule puts orders into the queue at the moments at which they are due, and does not care what becomes of them.
func (r *run) schedule() {
	s := r.settings
	total := s.orders
	if total == 0 {
		total = int(s.duration.Seconds() * s.rate)
	}
	// The rate rises from nothing over the warm-up, so that programs that are not compiled yet leave no backlog to those that are.
	warm := int(s.warmup.Seconds() * s.rate / 2)
	due := func(n int) time.Duration {
		seconds := s.warmup.Seconds() + float64(n-warm)/s.rate
		if n < warm {
			seconds = math.Sqrt(2 * float64(n) * s.warmup.Seconds() / s.rate)
		}
		return time.Duration(seconds * float64(time.Second))
	}
	for n := 0; n < warm+total; {
		now := time.Since(r.began)
		for n < warm+total && due(n) <= now {
			r.queue <- order{number: n, due: r.began.Add(due(n)), counts: n >= warm}
			n++
		}
		select {
		case <-r.stopped:
			return
		case <-time.After(time.Millisecond):
		}
	}
}

func (r *run) post(c *connection, composer *composer, o order) {
	request := composer.compose(o.number)
	r.sent.Add(1)
	answer, err := c.exchange(request)
	status := "unreachable"
	if err == nil {
		status = fmt.Sprint(answer.status)
	} else if errors.Is(err, os.ErrDeadlineExceeded) {
		status = "timeout"
	}
	took := time.Since(o.due)
	r.mu.Lock()
	r.statuses[status]++
	if err == nil && o.counts && answer.status < 300 {
		r.posts = append(r.posts, took)
		r.accepted.add(time.Now())
	}
	r.mu.Unlock()
	if err != nil || answer.status >= 300 {
		return
	}
	id, err := orderID(answer.body)
	if err != nil {
		fail("the answer to an order: %v", err)
	}
	r.took.Add(1)
	r.notes.accepted(id, composer.body)
	r.book.accepted(id, o)
}

// awaitEnds returns when every accepted order has come to its end, or patience has.
func (r *run) awaitEnds() {
	end := time.Now().Add(r.settings.patience)
	for r.book.openOrders() > 0 && time.Now().Before(end) {
		select {
		case <-r.stopped:
			return
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// progress says each second where things stand; a soak is long.
func (r *run) progress(done <-chan struct{}) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-done:
			return
		case <-tick.C:
			fmt.Fprintf(os.Stderr, "{\"second\":%d,\"sent\":%d,\"accepted\":%d,\"completed\":%d,\"open\":%d}\n",
				int(time.Since(r.began).Seconds()), r.sent.Load(), r.took.Load(), r.book.count("completed"), r.book.openOrders())
		}
	}
}

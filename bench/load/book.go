package main

import (
	"strings"
	"sync"
	"time"
)

const announcements = "dev.mercato.order."

// book keeps what became of each order that was accepted.
type book struct {
	mu    sync.Mutex
	notes *notes
	// open has the accepted orders without an end; early the ends that came before the answer to their order.
	open        map[string]order
	early       map[string]ending
	ends        map[string]int
	completions []time.Duration
	completed   span
}

type ending struct {
	kind string
	at   time.Time
}

func newBook(notes *notes) *book {
	return &book{notes: notes, open: map[string]order{}, early: map[string]ending{}, ends: map[string]int{}}
}

func (b *book) accepted(id string, o order) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if end, told := b.early[id]; told {
		delete(b.early, id)
		b.close(id, o, end)
		return
	}
	b.open[id] = o
}

// heard takes an announcement in. A hold is no end.
func (b *book) heard(id, kind string, at time.Time) {
	kind, ours := strings.CutPrefix(kind, announcements)
	if !ours {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if kind == "held" {
		b.ends[kind]++
		return
	}
	if kind != "completed" && kind != "failed" && kind != "cancelled" {
		return
	}
	o, known := b.open[id]
	if !known {
		// Either its answer is still on its way, or it was told before: a repeat stays here, and is counted at the end.
		b.early[id] = ending{kind, at}
		return
	}
	delete(b.open, id)
	b.close(id, o, ending{kind, at})
}

func (b *book) close(id string, o order, end ending) {
	b.notes.ended(id, end.kind)
	b.ends[end.kind]++
	if end.kind != "completed" {
		return
	}
	if o.counts {
		b.completed.add(end.at)
		b.completions = append(b.completions, end.at.Sub(o.due))
	}
}

func (b *book) openOrders() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.open)
}

func (b *book) count(kind string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ends[kind]
}

package hfparquet

import (
	"container/list"
	"sync"
)

// cache keeps the decoded pages that were used last, up to a number of bytes.
type cache struct {
	mu    sync.Mutex
	most  int
	used  int
	order *list.List // of *entry, the last used first
	at    map[place]*list.Element
}

// place names a page: of a file, by number.
type place struct{ file, page int }

type entry struct {
	place  place
	values *values
}

func newCache(most int) *cache {
	return &cache{most: most, order: list.New(), at: map[place]*list.Element{}}
}

func (c *cache) get(p place) *values {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.at[p]
	if !ok {
		return nil
	}
	c.order.MoveToFront(e)
	return e.Value.(*entry).values
}

func (c *cache) put(p place, v *values) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.at[p]; ok {
		return // another worker was as fast
	}
	c.at[p] = c.order.PushFront(&entry{p, v})
	c.used += cap(v.data)
	for c.used > c.most && c.order.Len() > 1 {
		last := c.order.Back()
		e := c.order.Remove(last).(*entry)
		delete(c.at, e.place)
		c.used -= cap(e.values.data)
	}
}

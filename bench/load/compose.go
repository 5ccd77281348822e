package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
)

// composer makes requests. Each order is its own: key, customer, goods and quantities differ, and follow from its number.
type composer struct {
	settings settings
	token    string
	body     []byte
	request  []byte
}

func newComposer(s settings, token string) *composer {
	return &composer{settings: s, token: token}
}

// compose gives the request of an order. It is valid until the next call.
func (c *composer) compose(number int) []byte {
	// As clients make them: unlike the one before.
	random := rand.New(rand.NewPCG(uint64(number), 2))
	key := fmt.Sprintf("%s-%016x%016x", c.settings.prefix, random.Uint64(), random.Uint64())
	c.body = c.order(c.body[:0], number)
	c.request = fmt.Appendf(c.request[:0], "POST %s HTTP/1.1\r\nhost: %s\r\ncontent-type: application/json\r\nidempotency-key: %s\r\ncontent-length: %d\r\n",
		c.settings.path, c.settings.host, key, len(c.body))
	if c.token != "" {
		c.request = fmt.Appendf(c.request, "authorization: Bearer %s\r\n", c.token)
	}
	c.request = append(c.request, "\r\n"...)
	c.request = append(c.request, c.body...)
	return c.request
}

// order is one of two to four lines, about the median of the order book that the demo plays.
func (c *composer) order(to []byte, number int) []byte {
	random := rand.New(rand.NewPCG(uint64(number), 1))
	to = fmt.Appendf(to, `{"customer":"customer-%d","currency":"GBP","paymentToken":"tok_visa","shipTo":{"name":"Ada Byron","line1":"%d St James's Square","city":"London","postcode":"SW1Y 4JH","country":"GB"},"lines":[`,
		random.IntN(100_000), number%500+1)
	first := random.IntN(c.settings.skus)
	if random.IntN(100) < c.settings.hot {
		first = 0
	}
	for n, lines := 0, 2+random.IntN(3); n < lines; n++ {
		if n > 0 {
			to = append(to, ',')
		}
		to = fmt.Appendf(to, `{"sku":"SKU-%d","quantity":%d,"unitPrice":%d}`, (first+n*7)%c.settings.skus, 1+random.IntN(3), 295*(n+1))
	}
	return append(to, "]}"...)
}

// orderID finds the id in the answer to an accepted order.
func orderID(body []byte) (string, error) {
	var said struct {
		OrderID string `json:"orderId"`
		ID      string `json:"id"`
	}
	if err := json.Unmarshal(body, &said); err != nil {
		return "", fmt.Errorf("%w: %.200s", err, body)
	}
	if said.OrderID != "" {
		return said.OrderID, nil
	}
	if said.ID != "" {
		return said.ID, nil
	}
	return "", errors.New("it has neither orderId nor id")
}

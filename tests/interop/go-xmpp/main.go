// An app server on go-xmpp, the library below go-gcm. Commands and events are those of ../clients.py.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"html"
	"os"
	"strings"
	"sync"

	"github.com/mattn/go-xmpp"
)

type object = map[string]interface{}

var (
	lock        sync.Mutex
	connections []*connection
	holding     bool
)

type connection struct {
	client *xmpp.Client
	number int
	held   object
}

func say(event string, members object) {
	line := object{"event": event}
	for name, value := range members {
		line[name] = value
	}
	text, _ := json.Marshal(line)
	fmt.Println(string(text))
}

func connect(number int) *connection {
	options := xmpp.Options{
		// What an app server changes: the host. The CA is told to Go by SSL_CERT_FILE.
		Host:     os.Getenv("CCS_HOST") + ":" + os.Getenv("CCS_PORT"),
		User:     os.Getenv("CCS_SENDER") + "@gcm.googleapis.com",
		Password: os.Getenv("CCS_KEY"),
		Session:  true,
	}
	client, err := options.NewClient()
	if err != nil {
		if strings.HasPrefix(err.Error(), "auth failure") {
			say("refused", nil)
		}
		fmt.Fprintln(os.Stderr, err)
		return nil
	}
	made := &connection{client: client, number: number}
	say("online", object{"connection": number})
	go made.receive()
	return made
}

func (c *connection) receive() {
	for {
		stanza, err := c.client.Recv()
		if err != nil {
			say("offline", object{"connection": c.number})
			return
		}
		switch stanza := stanza.(type) {
		case xmpp.IQ:
			if stanza.ID == "c2s1" && stanza.Type == "result" {
				say("pong", nil)
			}
		case xmpp.Chat:
			for _, element := range stanza.OtherElem {
				if element.XMLName.Space == "google:mobile:data" {
					c.message(stanza.Type, html.UnescapeString(element.InnerXML))
				}
			}
		}
	}
}

func (c *connection) message(stanzaType, text string) {
	var body object
	if err := json.Unmarshal([]byte(text), &body); err != nil {
		say("unreadable", object{"text": text})
		return
	}
	members := object{"connection": c.number}
	for _, name := range []string{"message_id", "from", "data", "error"} {
		if value, ok := body[name]; ok {
			members[name] = value
		}
	}
	kind, _ := body["message_type"].(string)
	switch {
	case stanzaType == "error":
		say("error", object{"body": body})
	case kind == "ack" || kind == "nack":
		say(kind, members)
	case kind == "control":
		say("draining", members)
	default:
		if kind == "" {
			kind = "upstream"
		}
		say(kind, members)
		lock.Lock()
		defer lock.Unlock()
		c.held = body
		if !holding {
			c.acknowledge()
		}
	}
}

func (c *connection) acknowledge() {
	c.push(object{"to": c.held["from"], "message_id": c.held["message_id"], "message_type": "ack"})
}

// json.Marshal writes < > & as \u003c and so on, so there is nothing left to escape for XML.
func (c *connection) push(body object) {
	text, _ := json.Marshal(body)
	c.client.SendOrg("<message id=\"\"><gcm xmlns=\"google:mobile:data\">" + string(text) + "</gcm></message>\n")
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var command object
		if err := json.Unmarshal(lines.Bytes(), &command); err != nil {
			panic(err)
		}
		op := command["op"]
		delete(command, "op")
		lock.Lock()
		var chosen *connection
		if number, ok := command["connection"].(float64); ok {
			chosen = connections[int(number)-1]
			delete(command, "connection")
		} else if len(connections) > 0 {
			chosen = connections[len(connections)-1]
		}
		switch op {
		case "connect":
			connections = append(connections, connect(len(connections)+1))
		case "send":
			chosen.push(command)
		case "hold":
			holding = true
			say("holding", nil)
		case "ack":
			holding = false
			chosen.acknowledge()
		case "ping":
			chosen.client.PingC2S("", "")
		case "close":
			chosen.client.Close()
		}
		lock.Unlock()
	}
}

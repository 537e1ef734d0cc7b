package monitor

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"odcm"
)

// Member is a replica that takes part in verdicts. Its beat grows while it lives.
type Member struct {
	Replica string
	Beat    int64
}

// Question asks the other replicas whether an instance answers them.
type Question struct {
	ID       string
	Asker    string // replica
	Instance odcm.InstanceID
}

// Answer is what one replica found.
type Answer struct {
	Question string
	Replica  string
	Up       bool
}

// Ballots carries questions and answers between replicas.
type Ballots interface {
	// Beat writes the replica's own row and returns those of all; it deletes questions that were forgotten.
	Beat(ctx context.Context, me Member) ([]Member, error)
	// Leave deletes the replica's row.
	Leave(ctx context.Context, replica string) error
	Ask(ctx context.Context, questions []Question) error
	// Open lists questions of others that the replica did not answer, at most limit.
	Open(ctx context.Context, replica string, limit int) ([]Question, error)
	Answer(ctx context.Context, answers []Answer) error
	Answers(ctx context.Context, questions []string) ([]Answer, error)
	// Close deletes questions with their answers.
	Close(ctx context.Context, questions []string) error
}

const (
	beatEvery = 5 * time.Second
	// living is how long a replica counts whose beat does not grow, on our own clock: theirs may go wrong.
	living = 3 * beatEvery
	// lookEvery bounds how late a question or an answer is seen whose hint was lost, while there are any.
	lookEvery = 250 * time.Millisecond
	// answerFor bounds a ping for others, so that even that a server hangs is told before the asker stops waiting.
	answerFor = ballotFor / 2
	// asksAtOnce bounds the pings for others under way: a network that is down asks about everything at once.
	asksAtOnce = 256
)

// quorum asks the other replicas and answers them.
type quorum struct {
	ballots Ballots
	me      string
	bus     Bus
	log     *slog.Logger
	ping    func(ctx context.Context, id odcm.InstanceID) (up, known bool)

	hint chan struct{} // others asked or answered

	mu        sync.Mutex
	others    map[string]beat
	asked     []Question // to be written
	more      chan struct{}
	polls     map[string]*poll // by question
	answering map[string]bool
	answers   []Answer // to be written
}

type beat struct {
	last int64
	at   time.Time // when it grew
}

// poll is a question that waits for answers.
type poll struct {
	missing map[string]bool // replicas that did not answer yet
	heard   chan Answer     // with a place for each of them
}

func newQuorum(o Options, ping func(context.Context, odcm.InstanceID) (up, known bool)) *quorum {
	return &quorum{
		ballots: o.Ballots, me: o.Replica, bus: o.Bus, log: o.Logger, ping: ping, hint: make(chan struct{}, 1), more: make(chan struct{}, 1),
		others: map[string]beat{}, polls: map[string]*poll{}, answering: map[string]bool{},
	}
}

// ask sends what the other replicas say into votes, and then that it is done. It returns when ctx ends at the latest.
func (q *quorum) ask(ctx context.Context, id odcm.InstanceID, votes chan<- vote) {
	question := Question{ID: odcm.NewID[string]("question"), Asker: q.me, Instance: id}
	p := q.open(question)
	if p == nil {
		deliver(ctx, votes, vote{done: true})
		return
	}
	defer q.close(question.ID)
	for range cap(p.heard) {
		select {
		case <-ctx.Done():
			return
		case a := <-p.heard:
			deliver(ctx, votes, vote{name: a.Replica, up: a.Up})
		}
	}
	deliver(ctx, votes, vote{done: true})
}

// open queues the question; nil where nobody else lives.
func (q *quorum) open(question Question) *poll {
	q.mu.Lock()
	defer q.mu.Unlock()
	missing := map[string]bool{}
	for name, b := range q.others {
		if time.Since(b.at) < living {
			missing[name] = true
		}
	}
	if len(missing) == 0 {
		return nil
	}
	p := &poll{missing: missing, heard: make(chan Answer, len(missing))}
	q.polls[question.ID] = p
	q.asked = append(q.asked, question)
	poke(q.more)
	return p
}

func (q *quorum) close(id string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.polls, id)
}

// poke wakes who waits for the channel; it has room for one.
func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func (q *quorum) run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return q.beat(ctx) })
	g.Go(func() error { return q.exchange(ctx) })
	return g.Wait()
}

// beat tells that this replica lives, and learns which others do.
func (q *quorum) beat(ctx context.Context) error {
	defer func() {
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), beatEvery)
		defer cancel()
		if err := q.ballots.Leave(last, q.me); err != nil {
			q.log.Warn("leave the other replicas", "error", err)
		}
	}()
	for n := time.Now().UnixNano(); ; n++ { // grows across restarts of a replica with a name of its own
		members, err := q.ballots.Beat(ctx, Member{q.me, n})
		if err == nil {
			q.learn(members)
		} else if ctx.Err() == nil {
			q.log.Error("look for other replicas", "error", err)
		}
		if pause(ctx, beatEvery); ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

func (q *quorum) learn(members []Member) {
	q.mu.Lock()
	defer q.mu.Unlock()
	there := map[string]beat{}
	for _, m := range members {
		if m.Replica == q.me {
			continue
		}
		b, known := q.others[m.Replica]
		if !known || b.last != m.Beat {
			b = beat{m.Beat, time.Now()}
		}
		there[m.Replica] = b
	}
	q.others = there
}

func (q *quorum) alone() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.others) == 0
}

// exchange writes questions and answers, and reads those of others, on every hint and a few times a second while there are
// others.
func (q *quorum) exchange(ctx context.Context) error {
	var pings sync.WaitGroup
	defer pings.Wait()
	places := make(chan struct{}, asksAtOnce)
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-q.more:
			pause(ctx, gather)
		case <-q.hint:
		case <-tick.C:
		}
		if q.alone() {
			continue
		}
		if err := q.turn(ctx, func(one Question) {
			pings.Go(func() { q.reply(ctx, one, places) })
		}); err != nil && ctx.Err() == nil {
			q.log.Error("ask other replicas about a server", "error", err)
			pause(ctx, time.Second)
		}
	}
}

// turn writes what waits, takes what came for open questions, and gives each new question of others to answer.
func (q *quorum) turn(ctx context.Context, answer func(Question)) error {
	q.mu.Lock()
	asked, answers := q.asked, q.answers
	q.asked, q.answers = nil, nil
	q.mu.Unlock()
	if len(asked) > 0 {
		if err := q.ballots.Ask(ctx, asked); err != nil {
			return err
		}
	}
	if len(answers) > 0 {
		q.mu.Lock()
		for _, a := range answers { // where writing fails they are asked again
			delete(q.answering, a.Question)
		}
		q.mu.Unlock()
		if err := q.ballots.Answer(ctx, answers); err != nil {
			return err
		}
	}
	if len(asked)+len(answers) > 0 {
		q.bus.Publish(TopicVantage)
	}
	if err := q.hear(ctx); err != nil {
		return err
	}
	open, err := q.ballots.Open(ctx, q.me, asksAtOnce)
	if err != nil {
		return err
	}
	for _, one := range open {
		q.mu.Lock()
		taken := q.answering[one.ID]
		q.answering[one.ID] = true
		q.mu.Unlock()
		if !taken {
			answer(one)
		}
	}
	return nil
}

// hear takes the answers to our questions, and closes questions that nobody waits for.
func (q *quorum) hear(ctx context.Context) error {
	q.mu.Lock()
	ids := make([]string, 0, len(q.polls))
	for id := range q.polls {
		ids = append(ids, id)
	}
	q.mu.Unlock()
	if len(ids) == 0 {
		return nil
	}
	answers, err := q.ballots.Answers(ctx, ids)
	if err != nil {
		return err
	}
	var over []string
	q.mu.Lock()
	for _, a := range answers {
		if p := q.polls[a.Question]; p != nil && p.missing[a.Replica] {
			delete(p.missing, a.Replica)
			p.heard <- a
			if len(p.missing) == 0 {
				over = append(over, a.Question)
			}
		}
	}
	q.mu.Unlock()
	if len(over) == 0 {
		return nil
	}
	return q.ballots.Close(ctx, over)
}

// reply looks at a server for another replica.
func (q *quorum) reply(ctx context.Context, one Question, places chan struct{}) {
	select {
	case places <- struct{}{}:
	case <-ctx.Done():
		return
	}
	defer func() { <-places }()
	ctx, cancel := context.WithTimeout(ctx, answerFor)
	defer cancel()
	up, known := q.ping(ctx, one.Instance)
	q.mu.Lock()
	defer q.mu.Unlock()
	if !known {
		delete(q.answering, one.ID) // this replica has not read it yet: it may know in a moment
		return
	}
	q.answers = append(q.answers, Answer{one.ID, q.me, up})
	poke(q.more)
}

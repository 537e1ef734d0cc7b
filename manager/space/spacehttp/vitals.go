package spacehttp

import (
	"fmt"
	"time"

	"odcm/kit/web/design"
)

// Vitals are what is known of a Space's server beside its health; what is not known is nil.
type Vitals struct {
	Took        *time.Duration // the last ping's answer
	Certificate *time.Time     // when it runs out
	Skew        *time.Duration // its clock, ahead of ODCM's
	Queued      *int           // tasks that wait
	Running     *int           // tasks that run
}

// soon is how near the end of a certificate is told with its date.
const soon = 30 * 24 * time.Hour

// facts are what the page shows of them.
func (v Vitals) facts() (facts []design.Fact) {
	if v.Took != nil {
		facts = append(facts, design.Fact{Label: "Response time", Value: design.Took(*v.Took)})
	}
	if v.Certificate != nil {
		fact := design.Fact{Label: "Certificate until", Content: design.Time(*v.Certificate)}
		if left := time.Until(*v.Certificate); left < soon {
			days := max(0, int(left.Hours()/24))
			text := v.Certificate.UTC().Format("2 Jan 2006") + fmt.Sprintf(", %d days left", days)
			tone := "warning"
			if left <= 0 {
				text, tone = "ran out on "+v.Certificate.UTC().Format("2 Jan 2006"), "danger"
			}
			fact.Content = design.Badge(tone, text)
		}
		facts = append(facts, fact)
	}
	if v.Skew != nil {
		facts = append(facts, design.Fact{Label: "Clock", Value: clock(*v.Skew)})
	}
	if v.Queued != nil {
		text := fmt.Sprintf("%d waiting", *v.Queued)
		if v.Running != nil {
			text += fmt.Sprintf(", %d running", *v.Running)
		}
		facts = append(facts, design.Fact{Label: "Task queue", Value: text})
	}
	return facts
}

// clock says how a clock differs from ODCM's.
func clock(skew time.Duration) string {
	switch d := skew.Abs(); {
	case d < 2*time.Second:
		return "right"
	case skew > 0:
		return design.Took(d) + " ahead"
	default:
		return design.Took(d) + " behind"
	}
}

package energy

import "fmt"

// A Battery is what a device lives on.
type Battery struct {
	Name          string
	Capacity      float64 // mAh, nominal, at 20 °C
	Usable        float64 // share of it that the device gets before the voltage is too low
	SelfDischarge float64 // share of Capacity a year
	Cold          float64 // share of what is usable that is left at -20 °C
	Pulse         float64 // mA that it gives without its voltage breaking down; 0 if not known
	Sources       []Source
}

// ShelfLife is the most that is promised of any cell, in years. What the
// arithmetic says beyond is not to be believed.
const ShelfLife = 15

// Life is how long a battery lasts.
type Life struct {
	Years  float64 // at most ShelfLife
	Capped bool    // it would be more
}

func (l Life) String() string {
	switch {
	case l.Capped:
		return fmt.Sprintf("beyond cell shelf life (%d years)", ShelfLife)
	case l.Years < 0.1:
		return fmt.Sprintf("%.1f days", l.Years*daysPerYear)
	}
	return fmt.Sprintf("%.1f years", l.Years)
}

const daysPerYear = 365

// Share is what the cold leaves: all from 20 °C up, Cold at -20 °C, a straight
// line between them and, as far as Validate lets it, on.
func (b *Battery) Share(celsius float64) float64 {
	return max(0, 1-(1-b.Cold)*max(0, 20-celsius)/40)
}

// Life is how long the battery feeds a device that takes perDay mAh a day.
func (b *Battery) Life(perDay, celsius float64) Life {
	lost := b.Capacity * b.SelfDischarge / daysPerYear
	years := b.Capacity * b.Usable * b.Share(celsius) / (perDay + lost) / daysPerYear
	if years > ShelfLife {
		return Life{ShelfLife, true}
	}
	return Life{Years: years}
}

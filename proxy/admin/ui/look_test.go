package ui_test

import (
	"bytes"
	"cmp"
	"flag"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sluice/proxy/admin/ui/uitest"
)

var screenshots = flag.String("screenshots", "", "a directory to write pictures of the page into")

// contrasts gives each text that is too close to what is behind it: less than
// 4.5 to 1 (WCAG 2.2, 1.4.3), for 24 px and larger 3.
const contrasts = `(() => {
	const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
	const rgba = (css) => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = css; canvas.fillRect(0, 0, 1, 1);
		const d = canvas.getImageData(0, 0, 1, 1).data; return [d[0], d[1], d[2], d[3] / 255]; };
	const over = (top, below) => [0, 1, 2].map((i) => top[i] * top[3] + below[i] * (1 - top[3])).concat(1);
	const light = (c) => [0.2126, 0.7152, 0.0722].reduce((sum, w, i) => {
		const v = c[i] / 255; return sum + w * (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4); }, 0);
	const ground = (e) => { const layers = []; for (let x = e; x; x = x.parentElement) layers.push(rgba(getComputedStyle(x).backgroundColor));
		return layers.reverse().reduce((below, top) => over(top, below), [255, 255, 255, 1]); };
	const found = [];
	for (const e of document.querySelectorAll('body *')) {
		if (![...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim()) || e.disabled || !e.checkVisibility({visibilityProperty: true, opacityProperty: true})) continue;
		const s = getComputedStyle(e), behind = ground(e), front = over(rgba(s.color), behind);
		const [a, b] = [light(front), light(behind)].sort((x, y) => y - x), ratio = (a + 0.05) / (b + 0.05);
		if (ratio < (parseFloat(s.fontSize) >= 24 ? 3 : 4.5)) found.push(ratio.toFixed(2) + ' ' + e.tagName + '.' + e.className + ': ' + e.textContent.slice(0, 40));
	}
	return found;
})()`

// TestLook: the page fits desks and phones, in light and dark, and can be read.
// With -screenshots its pictures are kept.
func TestLook(t *testing.T) {
	t.Parallel()
	desk := uitest.Look{Width: 1440, Height: 1480}
	phone := uitest.Look{Width: 390, Height: 844, Scale: 1, Phone: true}
	for name, look := range map[string]uitest.Look{
		"desktop-light": desk, "desktop-dark": dark(desk), "phone-light": phone, "phone-dark": dark(phone),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, p := open(t, busyEdge, look)
			p.Await(`document.querySelectorAll('#connections tbody tr').length > 10 && document.querySelectorAll('.u-wrap').length === 3`)
			shoot(t, p, name)
			if over := uitest.Eval[int](p, `document.documentElement.scrollWidth - document.documentElement.clientWidth`); over > 0 {
				t.Errorf("the page is %d px wider than the window", over)
			}
			p.Explain("de.shop.example.com")
			if name == "desktop-light" {
				shoot(t, p, "explain")
			}
			p.Click(uitest.Box("cluster", "shop"))
			p.Await(`!document.querySelector('#details').hidden`)
			for _, bad := range uitest.Eval[[]string](p, contrasts) {
				t.Errorf("contrast %s", bad)
			}
			if over := uitest.Eval[int](p, `document.documentElement.scrollWidth - document.documentElement.clientWidth`); over > 0 {
				t.Errorf("with details the page is %d px wider than the window", over)
			}
			p.CheckQuiet()
		})
	}
}

func dark(l uitest.Look) uitest.Look {
	l.Dark = true
	return l
}

// shoot keeps a picture, with 255 colours: they are enough, and much smaller.
func shoot(t *testing.T, p *uitest.Page, name string) {
	t.Helper()
	if *screenshots == "" {
		return
	}
	whole := strings.HasPrefix(name, "phone")
	// What moves has arrived.
	p.Await(`document.getAnimations().length === 0`)
	picture, err := png.Decode(bytes.NewReader(p.Screenshot(whole)))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	encoder := png.Encoder{CompressionLevel: png.BestCompression}
	if err := encoder.Encode(&out, paletted(picture)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(*screenshots, name+".png"), out.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

// paletted takes the colours that are used most, and for others the nearest.
func paletted(picture image.Image) image.Image {
	counts := map[color.RGBA]int{}
	b := picture.Bounds()
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			counts[color.RGBAModel.Convert(picture.At(x, y)).(color.RGBA)]++
		}
	}
	palette := mostUsed(counts, 255)
	nearest := map[color.RGBA]uint8{}
	out := image.NewPaletted(b, palette)
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			c := color.RGBAModel.Convert(picture.At(x, y)).(color.RGBA)
			i, known := nearest[c]
			if !known {
				i = uint8(palette.Index(c))
				nearest[c] = i
			}
			out.SetColorIndex(x, y, i)
		}
	}
	return out
}

// mostUsed is n colours: two thirds are those that are used most, and the rest
// are far from these, as a sign of few pixels is.
func mostUsed(counts map[color.RGBA]int, n int) color.Palette {
	colors := make([]color.RGBA, 0, len(counts))
	for c := range counts {
		colors = append(colors, c)
	}
	sortByCount(colors, counts)
	colors = colors[:min(len(colors), 4000)]
	most := min(n*2/3, len(colors))
	palette := color.Palette{}
	for _, c := range colors[:most] {
		palette = append(palette, c)
	}
	far := make([]int, len(colors)) // from each colour to the nearest of the palette
	for i, c := range colors {
		far[i] = distance(c, palette[palette.Index(c)].(color.RGBA))
	}
	for len(palette) < min(n, len(colors)) {
		next := colors[slices.Index(far, slices.Max(far))]
		palette = append(palette, next)
		for i, c := range colors {
			far[i] = min(far[i], distance(c, next))
		}
	}
	return palette
}

func distance(a, b color.RGBA) int {
	r, g, bl := int(a.R)-int(b.R), int(a.G)-int(b.G), int(a.B)-int(b.B)
	return r*r + g*g + bl*bl
}

func sortByCount(colors []color.RGBA, counts map[color.RGBA]int) {
	slices.SortFunc(colors, func(a, b color.RGBA) int {
		return cmp.Or(
			cmp.Compare(counts[b], counts[a]),
			cmp.Compare(a.R, b.R), cmp.Compare(a.G, b.G), cmp.Compare(a.B, b.B))
	})
}

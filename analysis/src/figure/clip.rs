//! What of lines and areas lies between two heights of the page: an axis may be shorter than the data.

use super::scene::Point;

/// How far beyond an end counts as on it: numbers that are equal on paper differ by rounding.
const ROUNDING: f64 = 1e-6;

/// The heights between which a panel draws, downwards on the page.
#[derive(Debug, Clone, Copy)]
pub(super) struct Heights {
    pub(super) top: f64,
    pub(super) bottom: f64,
}

impl Heights {
    /// Whether a height lies between them.
    pub(super) fn has(self, y: f64) -> bool {
        y >= self.top - ROUNDING && y <= self.bottom + ROUNDING
    }

    /// The parts of a line that lie between them, each of two points or more.
    pub(super) fn parts_of_line(self, points: &[Point]) -> Vec<Vec<Point>> {
        let mut parts: Vec<Vec<Point>> = Vec::new();
        let mut last = None;
        for pair in points.windows(2) {
            let Some((from, to)) = self.part_of_stretch(pair[0], pair[1]) else {
                last = None;
                continue;
            };
            match parts.last_mut().filter(|_| last == Some(from)) {
                Some(part) => part.push(to),
                None => parts.push(vec![from, to]),
            }
            last = Some(to);
        }
        parts
    }

    /// The part of a straight stretch that lies between them; none where it does not touch.
    fn part_of_stretch(self, from: Point, to: Point) -> Option<(Point, Point)> {
        let (low, high) = (from.1.min(to.1), from.1.max(to.1));
        if high < self.top - ROUNDING || low > self.bottom + ROUNDING {
            return None;
        }
        let held = |end: Point, other: Point| match end.1 {
            y if y < self.top => at_height(end, other, self.top),
            y if y > self.bottom => at_height(end, other, self.bottom),
            _ => end,
        };
        Some((held(from, to), held(to, from)))
    }

    /// The part of an area that lies between them, by Sutherland and Hodgman's cuts.
    pub(super) fn part_of_area(self, corners: Vec<Point>) -> Vec<Point> {
        let below_top = cut(&corners, self.top, |y| y >= self.top);
        cut(&below_top, self.bottom, |y| y <= self.bottom)
    }
}

/// An outline without what lies on the other side of a height.
fn cut(corners: &[Point], height: f64, is_kept: impl Fn(f64) -> bool) -> Vec<Point> {
    let mut kept = Vec::with_capacity(corners.len() + 2);
    for (index, &corner) in corners.iter().enumerate() {
        let before = corners[(index + corners.len() - 1) % corners.len()];
        if is_kept(before.1) != is_kept(corner.1) {
            kept.push(at_height(before, corner, height));
        }
        if is_kept(corner.1) {
            kept.push(corner);
        }
    }
    kept
}

/// Where the stretch between two points crosses a height; the two lie on different sides of it.
fn at_height(from: Point, to: Point, height: f64) -> Point {
    let share = match to.1 - from.1 {
        0.0 => 0.0,
        whole => (height - from.1) / whole,
    };
    (from.0 + share * (to.0 - from.0), height)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEIGHTS: Heights = Heights {
        top: 0.0,
        bottom: 10.0,
    };

    #[test]
    fn a_line_ends_where_it_leaves_and_begins_where_it_comes_back() {
        let points = [
            (0.0, 5.0),
            (1.0, -5.0),
            (2.0, -5.0),
            (3.0, 5.0),
            (4.0, 15.0),
        ];
        let parts = HEIGHTS.parts_of_line(&points);
        assert_eq!(
            parts,
            [
                vec![(0.0, 5.0), (0.5, 0.0)],
                vec![(2.5, 0.0), (3.0, 5.0), (3.5, 10.0)]
            ]
        );
        let inside = [(0.0, 0.0), (1.0, 10.0), (2.0, 3.0)];
        assert_eq!(HEIGHTS.parts_of_line(&inside), [inside.to_vec()]);
        assert!(
            HEIGHTS
                .parts_of_line(&[(0.0, 20.0), (1.0, 30.0)])
                .is_empty()
        );
        // through all of it
        let through = HEIGHTS.parts_of_line(&[(0.0, -10.0), (3.0, 20.0)]);
        assert_eq!(through, [vec![(1.0, 0.0), (2.0, 10.0)]]);
    }

    #[test]
    fn an_area_is_cut_along_its_ends() {
        let band = vec![(0.0, 4.0), (2.0, -4.0), (2.0, 14.0), (0.0, 6.0)];
        let cut = HEIGHTS.part_of_area(band);
        assert_eq!(
            cut,
            [
                (0.0, 4.0),
                (1.0, 0.0),
                (2.0, 0.0),
                (2.0, 10.0),
                (1.0, 10.0),
                (0.0, 6.0)
            ]
        );
        let inside = vec![(0.0, 1.0), (1.0, 2.0), (0.0, 3.0)];
        assert_eq!(HEIGHTS.part_of_area(inside.clone()), inside);
        assert!(
            HEIGHTS
                .part_of_area(vec![(0.0, 11.0), (1.0, 12.0)])
                .is_empty()
        );
        assert!(HEIGHTS.part_of_area(Vec::new()).is_empty());
    }
}

//! Literature in the public domain, and code.

use crate::equality::{GPT2, assert_equal_to_oracle};

const TEXTS: [&str; 11] = [
    // Jane Austen, Pride and Prejudice.
    "It is a truth universally acknowledged, that a single man in possession of a good fortune, \
     must be in want of a wife.\n\nHowever little known the feelings or views of such a man may be \
     on his first entering a neighbourhood, this truth is so well fixed in the minds of the \
     surrounding families, that he is considered as the rightful property of some one or other of \
     their daughters.\n\n\"My dear Mr. Bennet,\" said his lady to him one day, \"have you heard \
     that Netherfield Park is let at last?\"\n",
    // Mark Twain, Huckleberry Finn.
    "You don't know about me without you have read a book by the name of The Adventures of Tom \
     Sawyer; but that ain't no matter. That book was made by Mr. Mark Twain, and he told the \
     truth, mainly. There was things which he stretched, but mainly he told the truth. That is \
     nothing. I never seen anybody but lied one time or another, without it was Aunt Polly, or \
     the widow, or maybe Mary. They'd've gone; we'll see. I'm sure it's what you're after.",
    // Goethe, Faust.
    "Habe nun, ach! Philosophie,\nJuristerei und Medizin,\nUnd leider auch Theologie\nDurchaus \
     studiert, mit heißem Bemühn.\nDa steh ich nun, ich armer Tor!\nUnd bin so klug als wie zuvor;\n",
    // Proust, Du côté de chez Swann.
    "Longtemps, je me suis couché de bonne heure. Parfois, à peine ma bougie éteinte, mes yeux se \
     fermaient si vite que je n’avais pas le temps de me dire\u{a0}: «\u{a0}Je m’endors.\u{a0}»",
    // Cervantes, Don Quijote.
    "En un lugar de la Mancha, de cuyo nombre no quiero acordarme, no ha mucho tiempo que vivía un \
     hidalgo de los de lanza en astillero, adarga antigua, rocín flaco y galgo corredor.",
    // Tolstoy, Anna Karenina.
    "Все счастливые семьи похожи друг на друга, каждая несчастливая семья несчастлива по-своему. \
     Все смешалось в доме Облонских.",
    // Homer, Odyssey.
    "Ἄνδρα μοι ἔννεπε, Μοῦσα, πολύτροπον, ὃς μάλα πολλὰ\nπλάγχθη, ἐπεὶ Τροίης ἱερὸν πτολίεθρον ἔπερσε·",
    // Laozi, and Natsume Soseki.
    "道可道，非常道。名可名，非常名。無名天地之始；有名萬物之母。\r\n吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。",
    // Genesis in Hebrew with vowels, the opening of the Arabian Nights, the Mahabharata.
    "בְּרֵאשִׁית בָּרָא אֱלֹהִים אֵת הַשָּׁמַיִם וְאֵת הָאָרֶץ׃ حُكِيَ والله أعلم أنه كان فيما مضى من قديم الزمان ١٢٣. \
     धर्मक्षेत्रे कुरुक्षेत्रे समवेता युयुत्सवः ।१।",
    // Code, with its indentation.
    "fn main() {\n    let x: Vec<u32> = (0..10).map(|i| i * 2).collect();\n\tprintln!(\"{x:?}\");\n}\n\n\n\
     if __name__ == '__main__':\n        run(**{'a': 1_000, \"b\": 0xFF})  # TODO\n",
    // Numbers, addresses, symbols.
    "On 2023-10-05 at 12:34:56.789, 1,234,567.89 € (≈ 1.3e6 $) went to <mailto:a.b+c@example.org> — \
     50% off!!! ¯\\_(ツ)_/¯ 👩‍🚀🇺🇳 H₂O x² ½ № 5…",
];

#[test]
fn texts_of_many_languages_have_tiktokens_ids() {
    for text in TEXTS {
        assert_equal_to_oracle(text);
        assert_equal_to_oracle(&text.to_uppercase());
        assert_equal_to_oracle(&text.replace(' ', "  "));
        assert_equal_to_oracle(&text.replace('\n', "\r\n"));
    }
    assert_equal_to_oracle(&TEXTS.concat());
    assert_equal_to_oracle(&TEXTS.join("<|endoftext|>"));
}

#[test]
fn a_batch_is_its_texts() {
    let each: Vec<_> = TEXTS.iter().map(|text| GPT2.tokenize(text).unwrap()).collect();
    assert_eq!(GPT2.tokenize_batch(&TEXTS).unwrap(), each);
    assert_eq!(GPT2.detokenize_batch(&each).unwrap(), TEXTS);
}

/// The batch is large enough for several threads.
#[test]
fn a_large_batch_is_its_texts() {
    let rows: Vec<String> =
        (0..TEXTS.len() * 200).map(|row| format!("{row} {}", TEXTS[row % TEXTS.len()])).collect();
    assert!(rows.concat().len() > 1 << 19);
    let each: Vec<_> = rows.iter().map(|text| GPT2.tokenize(text).unwrap()).collect();
    assert!(GPT2.tokenize_batch(&rows).unwrap() == each);
}

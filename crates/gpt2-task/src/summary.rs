//! Table of the model, like Keras' `model.summary()`.

use std::fmt::Write as _;

use gpt2_backbone::visit_tensors;

use crate::causal_lm::Gpt2CausalLm;

/// Row of the table: layer, output shape, parameters.
type Row = [String; 3];

impl Gpt2CausalLm {
    /// Table of the preprocessor and of the layers with their output shapes and parameters,
    /// followed by the total, trainable and frozen parameters. LoRA kernels count in the totals but
    /// not in the layers.
    pub fn summary(&self) -> String {
        let mut text = String::new();
        if let Some(preprocessor) = self.preprocessor() {
            let size = grouped(preprocessor.tokenizer().vocabulary_size() as u128);
            let rows = [["gpt2_tokenizer".to_owned(), format!("Vocab size: {size}")]];
            text += "Preprocessor: \"gpt2_causal_lm_preprocessor\"\n";
            text += &table(["Layer (type)", "Config"].map(str::to_owned), &rows);
        }
        text += "Model: \"gpt2_causal_lm\"\n";
        let header = ["Layer (type)", "Output Shape", "Param #"].map(str::to_owned);
        text += &table(header, &self.layer_rows());
        let (mut trainable, mut frozen) = (0, 0);
        visit_tensors(self.backbone(), |_, parameter| {
            let count = parameter.shape.iter().product::<usize>() as u128;
            *(if parameter.trainable { &mut trainable } else { &mut frozen }) += count;
        });
        for (name, count) in [
            ("Total params", trainable + frozen),
            ("Trainable params", trainable),
            ("Non-trainable params", frozen),
        ] {
            let mebibytes = count as f64 * 4.0 / f64::from(1 << 20);
            let count = grouped(count);
            let _ = writeln!(text, " {name}: {count} ({mebibytes:.2} MB in float32)");
        }
        text
    }

    fn layer_rows(&self) -> Vec<Row> {
        let config = self.backbone().config();
        let (hidden, size) = (config.hidden_dim, |n: usize| n as u128);
        let hidden_shape = format!("(batch, sequence, {hidden})");
        let row = |name: &str, shape: &str, count: u128| {
            [name.to_owned(), shape.to_owned(), grouped(count)]
        };
        let tables = if config.tie_weights { 1 } else { 2 };
        let token_embedding = size(config.vocabulary_size) * size(hidden) * tables;
        let position_embedding = size(config.max_sequence_length) * size(hidden);
        let layer_norm = 2 * size(hidden);
        let layers = config.parameter_count() - token_embedding - position_embedding - layer_norm;
        let layer = layers / size(config.num_layers);
        let mut rows = vec![
            row("token_embedding (ReversibleEmbedding)", &hidden_shape, token_embedding),
            row("position_embedding (PositionEmbedding)", &hidden_shape, position_embedding),
        ];
        rows.extend((0..config.num_layers).map(|index| {
            row(&format!("transformer_layer_{index} (TransformerDecoder)"), &hidden_shape, layer)
        }));
        rows.push(row("layer_norm (LayerNormalization)", &hidden_shape, layer_norm));
        let logits = format!("(batch, sequence, {})", config.vocabulary_size);
        rows.push(row("logits (token_embedding in reverse)", &logits, 0));
        rows
    }
}

/// Table in box-drawing characters. The last of three columns is right-aligned.
fn table<const N: usize>(header: [String; N], rows: &[[String; N]]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().chain([&header]).map(|row| row[column].chars().count());
        cells.max().unwrap_or(0)
    };
    let widths: [usize; N] = std::array::from_fn(width);
    let rule = |left: &str, middle: &str, right: &str| {
        let dashes = widths.map(|width| "─".repeat(width + 2));
        format!("{left}{}{right}\n", dashes.join(middle))
    };
    let line = |row: &[String; N]| {
        let cell = |column: usize| {
            let (text, width) = (&row[column], widths[column]);
            if column == 2 { format!(" {text:>width$} ") } else { format!(" {text:<width$} ") }
        };
        let cells: [String; N] = std::array::from_fn(cell);
        format!("│{}│\n", cells.join("│"))
    };
    let body: String = rows.iter().map(line).collect();
    [rule("┌", "┬", "┐"), line(&header), rule("├", "┼", "┤"), body, rule("└", "┴", "┘")].concat()
}

/// Number with a comma before every group of three digits.
pub fn grouped(number: u128) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        for (number, text) in
            [(0, "0"), (999, "999"), (1000, "1,000"), (124_439_808, "124,439,808")]
        {
            assert_eq!(grouped(number), text);
        }
    }

    #[cfg(feature = "flex")]
    #[test]
    fn the_table_adds_up() {
        let expected = "\
Preprocessor: \"gpt2_causal_lm_preprocessor\"
┌────────────────┬────────────────┐
│ Layer (type)   │ Config         │
├────────────────┼────────────────┤
│ gpt2_tokenizer │ Vocab size: 46 │
└────────────────┴────────────────┘
Model: \"gpt2_causal_lm\"
┌──────────────────────────────────────────┬───────────────────────┬─────────┐
│ Layer (type)                             │ Output Shape          │ Param # │
├──────────────────────────────────────────┼───────────────────────┼─────────┤
│ token_embedding (ReversibleEmbedding)    │ (batch, sequence, 4)  │     184 │
│ position_embedding (PositionEmbedding)   │ (batch, sequence, 4)  │      32 │
│ transformer_layer_0 (TransformerDecoder) │ (batch, sequence, 4)  │     172 │
│ transformer_layer_1 (TransformerDecoder) │ (batch, sequence, 4)  │     172 │
│ layer_norm (LayerNormalization)          │ (batch, sequence, 4)  │       8 │
│ logits (token_embedding in reverse)      │ (batch, sequence, 46) │       0 │
└──────────────────────────────────────────┴───────────────────────┴─────────┘
 Total params: 568 (0.00 MB in float32)
 Trainable params: 568 (0.00 MB in float32)
 Non-trainable params: 0 (0.00 MB in float32)
";
        let mut model = crate::testing::model();
        assert_eq!(model.summary(), expected);
        model.enable_lora(1).unwrap();
        // Query and value in each of two layers: A [4, 2 * 1], B [1, 2], bias [4].
        assert!(model.summary().ends_with(
            " Total params: 608 (0.00 MB in float32)\n Trainable params: 56 (0.00 MB in float32)\n \
             Non-trainable params: 552 (0.00 MB in float32)\n"
        ));
    }
}
